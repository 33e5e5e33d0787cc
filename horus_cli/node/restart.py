"""``horus node restart``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, node_argument


@click.command("restart")
@node_argument
@graph_option
def command(node: str, graph: str | None) -> None:
    """Kill NODE of a running graph and start it again, whatever its failure policy; or start one that was stopped.

    Its init runs again, its shutdown does not; nothing that it kept in node.state is left. The command returns when the node
    is ready.
    """
    from horus_core.inspection.intervene import restart_node
    from horus_core.inspection.topic import find_graph

    before, after = restart_node(find_graph(graph), node)
    show.say(f"{node} is started again (process {before} before, {after} now)")
