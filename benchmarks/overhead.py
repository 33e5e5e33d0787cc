"""What recording adds to a tick: the reference graph recorded, against the same not recorded.

``whole tick``  the time per tick of the graph as fast as it can, so everything: encoding, rows, hand-offs
``controller``  the time of the controller's own tick, on average (percentiles of ``get_node_stats`` have steps of a fifth)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import Series, alternate

RECORDED, PLAIN = "HORUS, recorded", "HORUS, not recorded"


def run(options: Options) -> list[Row]:
    """Measures both in turn, often: the difference is small."""
    ticks, rounds = options.pick(50_000, 10_000), options.pick(15, 3)
    busy: dict[str, Series] = {RECORDED: Series(), PLAIN: Series()}
    commands = {
        RECORDED: runner("lockstep", "--ticks", ticks, "--recorded"),
        PLAIN: runner("lockstep", "--ticks", ticks),
    }
    series = alternate({name: partial(_both, command, busy[name]) for name, command in commands.items()}, rounds)
    goals = {PLAIN: Goal(1.05)}
    rows = rows_of("overhead", "whole tick", "µs", series, ours=RECORDED, goals=goals)
    return rows + rows_of("overhead", "controller", "µs", busy, ours=RECORDED, goals=goals)


def _both(command: Sequence[str], busy: Series) -> Measured:
    """Microseconds per tick; the controller's go to `busy`."""
    measured = measure(command)
    own: dict[str, float] = measured.facts["busy_us"]  # type: ignore[assignment]
    busy.rounds.append([own["controller"]])
    return Measured([1e6 / rate for rate in measured.samples])
