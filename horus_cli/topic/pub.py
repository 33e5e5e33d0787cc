"""``horus topic pub``."""

from __future__ import annotations

import time

import click

from horus_cli import show
from horus_cli.arguments import graph_option, positive, topic_argument, value_of


@click.command("pub")
@topic_argument
@click.argument("value")
@graph_option
@click.option(
    "--count", "-n", type=click.IntRange(min=1), metavar="N", help="Send it N times; with --rate without end."
)
@click.option("--rate", type=float, metavar="HZ", callback=positive("Hz"), help="Send it so often, until Ctrl-C.")
def command(topic: str, value: str, graph: str | None, count: int | None, rate: float | None) -> None:
    """Send VALUE on TOPIC from outside the graph: JSON, hex:BYTES, or @FILE (its bytes; a .json file is read).

    All nodes see it from the next tick on, and it is recorded as sent by the node "external".
    """
    from horus_core.errors import InvalidValue
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import Topic, find_graph

    message = value_of(value)
    found = find_graph(graph)
    Observer(found).topic(topic)
    sender = Topic(topic, graph=found.id)
    times = count if count is not None else 1 if rate is None else None
    sent, due = 0, time.monotonic()
    while times is None or sent < times:
        try:
            sender.send(message)
        except OverflowError:
            raise InvalidValue("VALUE", value[:80], "whole numbers from -2^63 to 2^64 - 1") from None
        sent += 1
        if rate is not None and sent != times:
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
    show.say(f"sent {sent} {'message' if sent == 1 else 'messages'} on {topic}")
