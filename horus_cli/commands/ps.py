"""``horus ps``."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.daemons import complete_owned, connected, system_option
from horus_cli.tables import Column, table, wide_option

if TYPE_CHECKING:
    from horus_core.inspection.observer import NodeView
    from horus_daemon.daemon_to_client import GraphInfo, NodeState


@click.command("ps")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_owned)
@system_option
@wide_option
@json_option("Print JSON: each graph with its nodes, what happened last, and how it ended.")
def command(names: tuple[str, ...], system: bool | None, as_json: bool) -> None:
    """List the daemon's graphs; with NAME, its nodes and what happened last.

    If no daemon runs, the graphs are listed that run without one.

    \b
    horus ps
    horus ps robot --wide
    """
    from horus_daemon.errors import DaemonNotRunning

    try:
        with connected(system) as daemon:
            graphs = daemon.graphs(*names)
    except DaemonNotRunning as problem:
        graphs = [] if names or system is not None else _without_daemon()
        if not graphs:
            raise
        show.complain(f"{show.one_line(problem)}; these graphs run without it")
    if as_json:
        show.as_json(graphs)
        return
    table(
        (
            Column("graph", 10),
            Column("state", 9),
            Column(">pid", 3),
            Column(">nodes", 2),
            Column(">tick", 5),
            Column(">rate", 1),
            Column(">since", 8),
            Column(">starts", 4),
            Column(">misses", 7),
            Column(">restarts", 6),
            Column("ended", 8, folds=True),
        ),
        [_row(graph) for graph in graphs],
    )
    for graph in graphs if names else ():
        _print_graph(graph)


def _without_daemon() -> list[GraphInfo]:
    """The graphs of this user that run, as the daemon would describe them."""
    from horus_core.errors import NotRunning
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.running_graphs import running_graphs
    from horus_daemon.daemon_to_client import GraphInfo

    found = []
    for graph in running_graphs():
        with contextlib.suppress(NotRunning):  # it has just ended
            view = Observer(graph).look()
            found.append(
                GraphInfo(
                    name=view.name,
                    state="running",
                    wanted=False,
                    restart="no",
                    script=view.script,
                    log=view.logs,
                    since_ns=view.started_ns,
                    pid=view.pid,
                    id=view.id,
                    tick=view.tick,
                    tick_rate=view.tick_rate,
                    session=view.session,
                    starts=1,
                    nodes=[_node_state(node) for node in view.nodes],
                )
            )
    return found


def _node_state(node: NodeView) -> NodeState:
    from horus_daemon.daemon_to_client import NodeState

    return NodeState(
        name=node.name,
        pid=node.pid,
        state=node.state,
        ticks=node.ticks,
        last_tick=node.last_tick,
        misses=node.deadline_misses,
        restarts=node.restarts,
        errors=node.errors,
    )


def _row(graph: GraphInfo) -> tuple[object, ...]:
    state = graph.state if graph.again_in is None else f"{graph.state} {show.duration(graph.again_in)}"
    ended = ""
    if graph.ended is not None and not graph.pid:
        code = "?" if graph.ended.code is None else graph.ended.code
        ended = f"{code} {graph.ended.why}".strip()
    return (
        graph.name,
        state,
        graph.pid or "-",
        len(graph.nodes) or "-",
        graph.tick if graph.tick >= 0 else "-",
        show.rate(graph.tick_rate or None),
        show.duration(max(0.0, time.time() - graph.since_ns / 1e9)) if graph.since_ns else "-",
        graph.starts,
        sum(node.misses for node in graph.nodes),
        sum(node.restarts for node in graph.nodes),
        ended,
    )


def _print_graph(graph: GraphInfo) -> None:
    show.say()
    show.facts(
        [
            ("graph", graph.name),
            ("script", graph.script),
            ("records", graph.session or "-"),
            ("started again", graph.restart),
            ("log", graph.log),
        ]
    )
    if graph.nodes:
        show.say()
        table(
            (
                Column("node", 10),
                Column("state", 9),
                Column(">pid", 2),
                Column(">ticks", 4),
                Column(">misses", 8),
                Column(">errors", 5),
                Column(">restarts", 6),
                Column("last event", 7, folds=True),
            ),
            [
                (node.name, node.state, node.pid, node.ticks, node.misses, node.errors, node.restarts, node.event)
                for node in graph.nodes
            ],
        )
    if graph.recent:
        show.say()
        table(
            (
                Column("when", 7),
                Column(">tick", 5),
                Column("node", 8),
                Column("event", 9, folds=True),
                Column("detail", 6, folds=True),
            ),
            [
                (show.when(event.time_ns), event.tick, event.node, event.event, _detail(event.detail))
                for event in graph.recent
            ],
        )


def _detail(detail: dict[str, object]) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in detail.items())
    return shown if len(shown) <= 80 else shown[:79] + "…"
