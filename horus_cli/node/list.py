"""``horus node list``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option
from horus_cli.tables import Column, table, wide_option


@click.command("list")
@graph_option
@wide_option
@json_option()
def command(graph: str | None, as_json: bool) -> None:
    """List the nodes of a running graph in its order: process, core, rate held, busy time, misses, restarts.

    \b
    horus node list                 of the only graph that runs
    horus node list -g robot --json
    """
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import find_graph

    nodes = Observer(find_graph(graph)).look().nodes
    if as_json:
        show.as_json(nodes)
        return
    table(
        (
            Column("node", 10),
            Column("state", 9),
            Column(">pid", 6),
            Column(">core", 2),
            Column(">order", 1),
            Column(">rate", 4),
            Column(">held", 8),
            Column(">ticks", 3),
            Column(">busy p50", 6),
            Column(">p99", 5),
            Column(">misses", 9),
            Column(">restarts", 7),
        ),
        [
            (
                node.name,
                node.state,
                node.pid,
                "-" if node.core < 0 else node.core,
                node.order,
                show.rate(node.rate_hz),
                show.rate(node.rate_held_hz),
                node.ticks,
                show.duration(node.busy_p50_ms / 1e3),
                show.duration(node.busy_p99_ms / 1e3),
                node.deadline_misses,
                node.restarts,
            )
            for node in nodes
        ],
    )
