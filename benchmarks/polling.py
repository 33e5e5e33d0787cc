"""A small dict there and back between two processes that poll, each on a core of its own.

HORUS's nodes never poll; its lanes can, and that is what is measured. iceoryx2 carries a bare u64 here: no dict, no packing.
"""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import Measured, NotInstalled, measure, peer, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate


def run(options: Options) -> list[Row]:
    """Measures on two cores; one process that spins would only keep the other from running."""
    if len(options.cores) < 2:
        return [Row("polling", "two cores", "HORUS", "µs", "lower", True, note="needs two cores")]
    samples, rounds = options.pick(10_000, 2000), options.pick(9, 2)
    asked = ["--cores", f"{options.cores[0]},{options.cores[1]}", "--samples", samples]

    def robotics() -> Measured:
        if not options.peer_python:
            raise NotInstalled("not installed: give --peer-python, an interpreter that has horus-robotics")
        return measure(peer("horus_robotics_polling", *asked, python=options.peer_python))

    series = alternate(
        {
            "HORUS": partial(measure, runner("transport", *asked)),
            "horus-robotics": robotics,
            "iceoryx2, a bare u64": partial(measure, peer("iceoryx2_polling", *asked)),
        },
        rounds,
    )
    less = Goal(1.0)
    goals = {"horus-robotics": less, "iceoryx2, a bare u64": less}
    return rows_of("polling", "two cores", "µs", series, scale=1e-3, goals=goals)
