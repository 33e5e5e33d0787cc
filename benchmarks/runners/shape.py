"""Ticks per second of graphs of a shape and size: what a node costs when there are many."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import click

from benchmarks.runners import Notes, report
from horus import Node, Scheduler

CHUNK = 100  # ticks per sample


@click.command()
@click.option("--shape", type=click.Choice(["chain", "fan-out"]), required=True)
@click.option("--nodes", "count", type=int, required=True)
@click.option("--ticks", default=3000)
def main(shape: str, count: int, ticks: int) -> None:
    """Prints ticks/s, one sample per hundred ticks."""
    notes = Notes()

    def begin(node: Node) -> None:
        node.state = {"tick": 0, "stamps": []}

    def forward(into: str, out: str, last: bool) -> Callable[[Node], None]:
        def tick(node: Node) -> None:
            state = node.state
            value = node.recv(into) if into else {"x": 1.5, "tick": state["tick"]}
            state["tick"] += 1
            if out:
                node.send(out, value)
            if last and state["tick"] % CHUNK == 0:
                state["stamps"].append(time.monotonic_ns())

        return tick

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False)
    for place in range(count):
        last = place == count - 1
        into = "" if place == 0 else f"t{place - 1}" if shape == "chain" else "t0"
        out = "" if last or (shape == "fan-out" and place) else f"t{place}"
        scheduler.add(
            Node(
                name=f"node{place}",
                tick=forward(into, out, last),
                init=begin,
                shutdown=(lambda node: notes.write("stamps", node.state["stamps"])) if last else None,
                rate=100,
                pubs=[out] if out else None,
                subs=[into] if into else None,
            )
        )
    scheduler.run(duration=(ticks + 2 * CHUNK) / 100)
    stamps = notes.read("stamps")[1:]
    report([CHUNK / (b - a) * 1e9 for a, b in pairwise(stamps)])


if __name__ == "__main__":
    main()
