"""What the recorder's process spends on small messages: messages per second of its own processor time.

A graph sends as fast as it can; the recorder is measured between two moments at which it has caught up, less what it spends
when there is nothing to do.
"""

from __future__ import annotations

import time

import click

from benchmarks.runners import report
from benchmarks.runners.children import child, cpu_ns
from horus import Node, Scheduler

_CAUGHT_UP = 0.6  # seconds after which the recorder has written what there was: it hands on every 0.2 s


@click.command()
@click.option("--messages", default=500_000)
@click.option("--per-tick", default=1000)
def main(messages: int, per_tick: int) -> None:
    """Prints one sample."""

    def send(node: Node) -> None:
        value = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}
        put = node.send
        for number in range(per_tick):
            value["seq"] = number
            put("flow", value)

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="sender", tick=send, rate=100, pubs={"flow": {"capacity": 4 * per_tick}}))
    scheduler.tick_for(0.5)
    recorder = child("horus:recorder")
    time.sleep(_CAUGHT_UP)
    idle = cpu_ns(recorder)
    time.sleep(_CAUGHT_UP)
    start = cpu_ns(recorder)
    idle = start - idle
    began = time.monotonic()
    scheduler.tick_for(messages / per_tick / 100)
    took = time.monotonic() - began
    time.sleep(_CAUGHT_UP)
    spent = cpu_ns(recorder) - start - idle * (took + _CAUGHT_UP) / _CAUGHT_UP
    scheduler.stop()
    sent = scheduler.get_node_stats("sender")["messages_sent"]
    assert sent == messages + 50 * per_tick
    report([messages / spent * 1e9], sent_per_second=messages / took)


if __name__ == "__main__":
    main()
