"""When ticks really begin, against when they are due, in real time."""

from __future__ import annotations

import time

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
    """Prints by how much later than on an exact grid each tick began, in ns; 0 for the earliest."""
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
    late = [at - stamps[0] - number * period for number, at in enumerate(stamps)]
    earliest = min(late)
    stats, safety = scheduler.get_node_stats("beat"), scheduler.safety_stats()
    report(
        [each - earliest for each in late],
        missed=stats["deadline_misses"],
        slips=safety["late_releases"],
        degraded=scheduler.degradations(),
    )


if __name__ == "__main__":
    main()
