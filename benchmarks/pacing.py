"""How late ticks begin, at 100 Hz and 1 kHz in real time, beside a bare clock_nanosleep loop as cyclictest has it.

Both count from the earliest: a time that is always the same is no jitter. HORUS's node is a process that the coordinator
wakes, so two wake-ups follow the timer's.
"""

from __future__ import annotations

from functools import partial

from benchmarks import native
from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Row, rows_of
from benchmarks.rounds import alternate


def run(options: Options) -> list[Row]:
    """Measures both rates, and HORUS with ``rt=True`` too."""
    rounds = options.pick(5, 1)
    core = options.cores[0]
    rows = []
    for rate, ticks in ((100, options.pick(500, 100)), (1000, options.pick(5000, 1000))):
        asked = ["--rate", rate, "--ticks", ticks, "--cores", core]
        series = alternate(
            {
                "HORUS": partial(measure, runner("pacing", *asked)),
                "HORUS, rt=True": partial(measure, runner("pacing", "--rt", *asked)),
                "clock_nanosleep in C": partial(_nanosleep, core, rate, ticks),
            },
            rounds,
        )
        notes = {}
        for name, found in series.items():
            worst = max(found.samples, default=0) * 1e-3
            missed = f", {found.facts['missed']} deadlines missed" if "missed" in found.facts else ""
            degraded = ", not granted" if found.facts.get("degraded") else ""
            notes[name] = f"latest {worst:,.0f} µs{missed}{degraded}"
        rows += rows_of("pacing", f"{rate} Hz", "µs", series, scale=1e-3, notes=notes)
    return rows


def _nanosleep(core: int, rate: int, ticks: int) -> Measured:
    late = native.run("nanosleep", core, 1_000_000_000 // rate, ticks).samples
    return Measured([each - min(late) for each in late])
