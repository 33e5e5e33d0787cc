"""``horus topic``: the topics of a running graph."""

from __future__ import annotations

import click

from horus_cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the topics.",
    "info": "Say who publishes and who subscribes.",
    "echo": "Print messages as they come.",
    "hz": "Measure how often messages come.",
    "bw": "Measure how many bytes come.",
    "pub": "Send a message.",
}


@click.group("topic", cls=LazyGroup, package="horus_cli.topic", lines=COMMANDS)
def command() -> None:
    """Look at the topics of a running graph, and send on them.

    No daemon is needed, and looking never slows or blocks the graph. A graph that runs inline, in its script's own process,
    cannot be seen from outside.
    """
