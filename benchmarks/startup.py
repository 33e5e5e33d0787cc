"""From the command to the first tick of a graph of 2, 8 and 32 nodes, and ``horus --help``.

The yardstick is as many bare interpreters as there are processes, started at once: what Python alone takes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

_SECONDS = {2: 0.6, 32: 3.0}  # to the first tick, on two cores
_HELP = "from horus_cli.main import main; main()"  # what the installed `horus` does


def run(options: Options) -> list[Row]:
    """Measures each size, and the help."""
    rounds = options.pick(9, 2)
    rows = []
    for nodes in (2, 8, 32):
        series = alternate(
            {
                "HORUS": partial(_first_tick, nodes),
                "HORUS, recorded": partial(_first_tick, nodes, "--recorded"),
                "bare interpreters": partial(_bare, nodes + 1),
            },
            rounds,
        )
        goals = {"HORUS": Goal(_SECONDS[nodes], ratio=False)} if nodes in _SECONDS else {}
        notes = {"bare interpreters": f"{nodes + 1} at once, which import nothing"}
        rows += rows_of("startup", f"{nodes} nodes", "s", series, goals=goals, notes=notes)
    series = alternate(
        {"HORUS": partial(_command, ["-c", _HELP, "--help"]), "bare interpreter": partial(_bare, 1)}, rounds * 2
    )
    rows += rows_of("startup", "horus --help", "s", series, goals={"HORUS": Goal(0.15, ratio=False)})
    return rows


def _first_tick(nodes: int, *words: str) -> Measured:
    start = time.monotonic_ns()
    measured = measure(runner("first_tick", "--nodes", nodes, *words))
    return Measured([(measured.samples[0] - start) * 1e-9])


def _bare(processes: int) -> Measured:
    start = time.monotonic()
    running = [subprocess.Popen([sys.executable, "-c", "pass"]) for _ in range(processes)]
    for process in running:
        process.wait()
    return Measured([time.monotonic() - start])


def _command(words: Sequence[str]) -> Measured:
    start = time.monotonic()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return Measured([time.monotonic() - start])
