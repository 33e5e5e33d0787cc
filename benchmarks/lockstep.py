"""Ticks per second of the reference graph, recorded and not, beside a bare prototype of the same processes."""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

RECORDED, PLAIN, PYTHON = "HORUS, recorded", "HORUS, not recorded", "HORUS, not recorded, without its C part"
PROTOTYPE = "prototype without a framework"


def run(options: Options) -> list[Row]:
    """Measures with HORUS's own placement, and the prototype on one core: its best."""
    ticks, rounds = options.pick(50_000, 10_000), options.pick(7, 2)
    core = options.cores[0]
    series = alternate(
        {
            RECORDED: partial(measure, runner("lockstep", "--ticks", ticks, "--recorded")),
            PLAIN: partial(measure, runner("lockstep", "--ticks", ticks)),
            PYTHON: partial(measure, runner("lockstep", "--ticks", ticks // 2), env={"HORUS_NATIVE": "0"}),
            "HORUS, inline": partial(measure, runner("lockstep", "--ticks", ticks, "--inline")),
            PROTOTYPE: partial(measure, runner("prototype", "--ticks", ticks, "--cores", f"{core},{core}")),
        },
        rounds,
    )
    goals = {RECORDED: Goal(20_000, at_least=True, ratio=False)}
    notes = {
        "HORUS, inline": "all nodes in one process",
        PROTOTYPE: "semaphores and msgpack, no ticks, rows or counters",
    }
    return rows_of("lockstep", "reference graph", "ticks/s", series, "higher", RECORDED, goals=goals, notes=notes)
