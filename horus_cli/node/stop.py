"""``horus node stop``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, node_argument


@click.command("stop")
@node_argument
@graph_option
def command(node: str, graph: str | None) -> None:
    """Stop NODE of a running graph: its shutdown runs, and the graph goes on without it.

    A node that has not ended after 3 seconds is killed. 'horus node restart' brings it back.
    """
    from horus_core.inspection.intervene import stop_node
    from horus_core.inspection.topic import find_graph

    process = stop_node(find_graph(graph), node)
    show.say(f"{node} is stopped (it was process {process})")
