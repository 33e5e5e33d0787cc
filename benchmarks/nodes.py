"""Ticks per second of graphs of 2 to 64 nodes, with HORUS's own placement: a chain, and one node that all others hear.

The yardsticks of a chain are a ring of as many processes in C, and one more for the coordinator, on one core; and the prototype
(see ``lockstep``) with as many: what it costs when they are processes of Python.
"""

from __future__ import annotations

from functools import partial

from benchmarks import native
from benchmarks.lockstep import PROTOTYPE
from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Row, rows_of
from benchmarks.rounds import alternate

COUNTS = (2, 4, 8, 16, 32, 64)


def run(options: Options) -> list[Row]:
    """Measures each shape and size."""
    rounds = options.pick(3, 1)
    rows = []
    for shape in ("chain", "fan-out"):
        for count in COUNTS:
            ticks = max(500, options.pick(40_000, 5000) // count)
            participants = {
                "HORUS": partial(measure, runner("shape", "--shape", shape, "--nodes", count, "--ticks", ticks))
            }
            if shape == "chain":
                core = options.cores[0]
                bare = runner("prototype", "--ticks", ticks, "--cores", f"{core},{core}", "--nodes", count)
                participants["C semaphores"] = partial(_ring, count + 1, core, ticks)
                participants[PROTOTYPE] = partial(measure, bare)
            series = alternate(participants, rounds)
            rows += rows_of("nodes", f"{shape} of {count}", "ticks/s", series, "higher")
    return rows


def _ring(processes: int, core: int, turns: int) -> Measured:
    measured = native.run("semaphores", processes, core, 100, turns)
    return Measured([1e9 / taken for taken in measured.samples])
