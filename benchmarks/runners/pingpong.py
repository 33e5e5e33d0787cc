"""A round trip through the whole runtime: two nodes that answer each other, in lockstep as fast as they can.

In tick k "ping" sends, "pong" gets it in the same tick and answers, and "ping" has the answer in tick k + 1. So each round
trip is there and back through two processes, as in any ping-pong, and besides a tick: a release by the coordinator, who is a
third process, and both nodes' rows for the recorder.
"""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np

from benchmarks.runners import Notes, cores, report
from horus import Node, Scheduler

SMALL = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}


@click.command()
@click.option("--cores", "on", required=True)
@click.option("--warmup", default=500)
@click.option("--samples", default=2000)
@click.option("--payload", default=0, help="Bytes to send there in an array; 0 for a small dict.")
@click.option("--view", is_flag=True, help="Receive arrays as views, without a copy.")
def main(on: str, warmup: int, samples: int, payload: int, view: bool) -> None:
    """Prints the samples in ns."""
    notes = Notes()
    first, second = (cores(on) * 2)[:2]
    clock = time.perf_counter_ns

    def begin(node: Node) -> None:
        node.state = {"number": 0, "sent": 0, "taken": [], "array": np.zeros(payload, dtype=np.uint8)}

    def ping(node: Node) -> None:
        state = node.state
        answer = node.recv("pong")
        if answer is not None:
            taken = clock() - state["sent"]
            assert answer["seq"] == state["number"]
            if state["number"] > warmup:
                state["taken"].append(taken)
            if len(state["taken"]) >= samples:
                node.request_stop()
                return
        state["number"] += 1
        message: dict[str, Any] = {**SMALL, "seq": state["number"]}
        state["sent"] = clock()
        node.send("ping", {"seq": state["number"], "data": state["array"]} if payload else message)

    def pong(node: Node) -> None:
        value = node.recv("ping", copy=not view)
        if value is not None:
            if payload:
                assert value["data"][-1] == value["data"][0]
                value = {"seq": value["seq"]}
            node.send("pong", value)

    scheduler = Scheduler(tick_rate=1000, deterministic=True, pace=False)
    scheduler.add(
        Node(
            name="ping",
            tick=ping,
            init=begin,
            shutdown=lambda node: notes.write("taken", node.state["taken"]),
            rate=1000,
            pubs=["ping"],
            subs=["pong"],
            core=first,
        )
    )
    scheduler.add(Node(name="pong", tick=pong, rate=1000, pubs=["pong"], subs=["ping"], core=second))
    scheduler.run()
    report(notes.read("taken"))


if __name__ == "__main__":
    main()
