"""When ticks really begin, against when they are due, in real time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import click

from benchmarks.runners import Notes, cores, report
from horus import Node, Scheduler


@click.command()
@click.option("--rate", type=float, required=True)
@click.option("--ticks", default=2000)
@click.option("--cores", "on", default="")
@click.option("--rt", is_flag=True, help="SCHED_FIFO and locked memory.")
@click.option("--warmup", default=100)
def main(rate: float, ticks: int, on: str, rt: bool, warmup: int) -> None:
    """Prints by how much later than on an exact grid each tick began, in ns; 0 for the earliest.

    Where a tick comes a period late or is left out, the schedule moves on, and the grid begins anew after it.
    """
    notes = Notes()
    total = ticks + warmup

    def begin(node: Node) -> None:
        node.state = {"stamps": [0] * total, "tick": 0}

    def tick(node: Node) -> None:
        state = node.state
        state["stamps"][state["tick"]] = time.monotonic_ns()
        state["tick"] += 1
        node.send("beat", state["tick"])

    def end(node: Node) -> None:
        notes.write("stamps", node.state["stamps"][: node.state["tick"]])

    scheduler = Scheduler(tick_rate=rate, rt=rt, cores=cores(on))
    scheduler.add(Node(name="beat", tick=tick, init=begin, shutdown=end, rate=rate, pubs=["beat"]))
    scheduler.run(duration=total / rate)
    stamps = notes.read("stamps")[warmup:]
    period = 1e9 / rate
    stats, safety = scheduler.get_node_stats("beat"), scheduler.safety_stats()
    report(
        lateness(stamps, period),
        missed=stats["deadline_misses"],
        slips=safety["late_releases"],
        degraded=scheduler.degradations(),
    )


def lateness(stamps: Sequence[float], period: float) -> list[float]:
    """How late each of `stamps` is.

    >>> lateness([0.0, 12.0, 20.0, 45.0, 55.0, 66.0], 10.0)
    [0.0, 2.0, 0.0, 15.0, 0.0, 1.0]
    """
    late: list[float] = []
    place, stretch = 0.0, [0.0]  # on the grid since the schedule moved last
    for earlier, at in pairwise(stamps):
        behind = at - earlier - period
        if behind > period:
            late += [*(each - min(stretch) for each in stretch), behind]
            place, stretch = 0.0, []
        else:
            place += behind
            stretch.append(place)
    return late + [each - min(stretch) for each in stretch]


if __name__ == "__main__":
    main()
