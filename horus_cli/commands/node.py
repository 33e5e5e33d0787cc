"""``horus node``: the nodes of a running graph."""

from __future__ import annotations

import click

from horus_cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the nodes.",
    "info": "Say all about a node.",
    "stop": "Stop a node; the graph goes on without it.",
    "restart": "Kill a node and start it again.",
}


@click.group("node", cls=LazyGroup, package="horus_cli.node", lines=COMMANDS)
def command() -> None:
    """Look at the nodes of a running graph, stop and restart them.

    No daemon is needed, and looking never slows or blocks the graph. A graph that runs inline, in its script's own process,
    cannot be seen from outside.
    """
