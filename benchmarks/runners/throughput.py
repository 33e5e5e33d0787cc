"""Messages per second from one node to another, many per tick: as fast as it can, or paced at 100 Hz."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import click

from benchmarks.runners import Notes, report
from horus import Node, Scheduler


@click.command()
@click.option("--per-tick", default=1000)
@click.option("--seconds", default=1.0)
@click.option("--recorded", is_flag=True)
@click.option("--paced", is_flag=True, help="100 ticks/s in real time, so 100 times --per-tick messages are offered.")
def main(per_tick: int, seconds: float, recorded: bool, paced: bool) -> None:
    """Prints messages/s, one sample per tenth of the time."""
    notes = Notes()

    def begin(node: Node) -> None:
        node.state = {"got": 0, "start": 0, "stamps": []}

    def send(node: Node) -> None:
        value = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}
        put = node.send
        for number in range(per_tick):
            value["seq"] = number
            put("flow", value)

    def receive(node: Node) -> None:
        state = node.state
        state["got"] += len(node.recv_all("flow"))
        now = time.monotonic_ns()
        state["start"] = state["start"] or now
        if now - state["start"] >= len(state["stamps"]) * seconds * 1e8:
            state["stamps"].append([now, state["got"]])
        if now - state["start"] > seconds * 1e9:
            node.request_stop()

    def end(node: Node) -> None:
        notes.write("stamps", node.state["stamps"])

    scheduler = Scheduler(tick_rate=100, deterministic=not paced, pace=paced, recording=recorded)
    capacity = max(1024, 4 * per_tick)
    scheduler.add(Node(name="sender", tick=send, rate=100, pubs={"flow": {"capacity": capacity}}))
    scheduler.add(
        Node(name="receiver", tick=receive, init=begin, shutdown=end, rate=100, subs={"flow": {"capacity": capacity}})
    )
    scheduler.run()
    stamps: list[list[float]] = notes.read("stamps")  # type: ignore[assignment]
    sender, receiver = scheduler.get_node_stats("sender"), scheduler.get_node_stats("receiver")
    report(
        [(b[1] - a[1]) / (b[0] - a[0]) * 1e9 for a, b in pairwise(stamps)],
        dropped=receiver["messages_dropped"],
        missed=sender["deadline_misses"] + receiver["deadline_misses"],
        sent=sender["messages_sent"],
        lost=_lost(scheduler.stop_recording(), sender["messages_sent"]) if recorded else 0,
    )


def _lost(paths: Sequence[str], sent: int) -> int:
    """Of `sent` messages, those that the recording does not have: each has a sequence of its own."""
    import numpy as np
    import pyarrow as pa

    there = np.zeros(sent, dtype=bool)
    for path in (path for path in paths if "sender@" in path):
        file = pa.ipc.open_file(path)
        for batch in (file.get_batch(each) for each in range(file.num_record_batches)):
            there[batch.column("sequence").to_numpy()] = True
    return int(sent - there.sum())


if __name__ == "__main__":
    main()
