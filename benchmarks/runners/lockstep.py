"""Ticks per second of the reference graph, in lockstep, as fast as it can."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import click

import horus
from benchmarks import reference
from benchmarks.runners import Notes, cores, report
from horus import Node, Scheduler

CHUNK = 1000  # ticks per sample


@click.command()
@click.option("--ticks", default=20_000)
@click.option("--cores", "on", default="")
@click.option("--recorded", is_flag=True)
@click.option("--inline", is_flag=True)
def main(ticks: int, on: str, recorded: bool, inline: bool) -> None:
    """Prints ticks/s, one sample per thousand ticks, without the first two thousand."""
    notes = Notes()

    def begin(node: Node) -> None:
        node.state = {"integral": 0.0, "tick": 0, "stamps": []}

    def sense(node: Node) -> None:
        reference.sense(node.state, lambda value: node.send("sensor.reading", value))

    def control(node: Node) -> None:
        reading = node.recv("sensor.reading")
        if reading is None:
            return
        reference.control(node.state, reading, horus.dt(), lambda value: node.send("ctrl.cmd", value))
        if reading["tick"] % CHUNK == 0:
            node.state["stamps"].append(time.monotonic_ns())

    def end(node: Node) -> None:
        notes.write("stamps", node.state["stamps"])

    execution = "inline" if inline else "process"
    scheduler = Scheduler(
        tick_rate=100,
        deterministic=True,
        pace=False,
        recording=recorded,
        cores=cores(on),
        execution=execution,
    )
    scheduler.add(Node(name="sensor", tick=sense, init=begin, rate=100, pubs=["sensor.reading"]))
    scheduler.add(
        Node(
            name="controller",
            tick=control,
            init=begin,
            shutdown=end,
            rate=100,
            subs=["sensor.reading"],
            pubs=["ctrl.cmd"],
        )
    )
    scheduler.run(duration=(ticks + 2 * CHUNK + 1) / 100)
    stamps = notes.read("stamps")[2:]
    facts: dict[str, Any] = {
        name: scheduler.get_node_stats(name)["avg_tick_duration_ms"] * 1e3 for name in ("sensor", "controller")
    }
    report([CHUNK / (b - a) * 1e9 for a, b in pairwise(stamps)], busy_us=facts)


if __name__ == "__main__":
    main()
