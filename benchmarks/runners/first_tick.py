"""A script with a graph of so many nodes, which prints when the last of them had run its first tick."""

from __future__ import annotations

import time

import click

from benchmarks.runners import Notes, report
from horus import Node, Scheduler


@click.command()
@click.option("--nodes", "count", type=int, required=True)
@click.option("--recorded", is_flag=True)
def main(count: int, recorded: bool) -> None:
    """Prints a time of the monotonic clock, in ns."""
    notes = Notes()

    def first(node: Node) -> None:
        if not node.state:
            node.state = {"at": time.monotonic_ns()}

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording=recorded)
    for place in range(count):
        scheduler.add(
            Node(
                name=f"node{place}",
                tick=first,
                shutdown=lambda node: notes.write(node.name, node.state["at"]),
                rate=100,
                pubs=[f"t{place}"],
                subs=[f"t{place - 1}"] if place else None,
            )
        )
    scheduler.run(duration=0.01)
    report([float(notes.read(f"node{count - 1}"))])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
