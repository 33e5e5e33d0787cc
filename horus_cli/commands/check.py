"""``horus check``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.script import ScriptCommand, ending, script_arguments
from horus_cli.tables import Column, table, wide_option

if TYPE_CHECKING:
    from horus_core.project.manifest import Project
    from horus_core.project.preview import GraphPreview, NodePreview

_LAGS = {0: "", 1: ", a tick later", -1: ", when it is done"}


@click.command("check", cls=ScriptCommand)
@click.argument("script", required=False, type=click.Path())
@wide_option
@json_option()
@click.pass_context
def command(ctx: click.Context, script: str | None, as_json: bool) -> int:
    """Check the project in this folder (horus.toml), or SCRIPT, and show its graph, without running it.

    The script is executed up to where it would run the graph: what stands before that in it happens. Nodes are listed in the
    order in which they run, with the core that they would be placed on, when their outputs are due, and who hears whom.
    What stands behind -- is for the script.

    \b
    horus check main.py --wide
    """
    from horus_core.project.manifest import read_project, unknown_node
    from horus_core.project.preview import preview
    from horus_core.scheduler.launch import Launch
    from horus_core.scheduler.script import capture_graph

    project = read_project(script or ".") if script is None or Path(script).is_dir() else None
    path = project.script if project else Path(str(script))
    launch = Launch(tick_rate=project.tick_rate, nodes=project.nodes) if project else Launch()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = preview(capture_graph(path, script_arguments(ctx), launch))
    except BaseException as problem:
        from horus_core.errors import UnknownNode

        known = project is not None and isinstance(problem, UnknownNode) and problem.args[1] in project.nodes
        code, said = ending(unknown_node(project, problem) if known else problem, path)  # type: ignore[arg-type]
        show.complain(said or f"{path} ended before it ran a graph")
        return code or 2
    if as_json:
        show.as_json(found)
    else:
        _print(found, project, path)
    return 0


def _print(found: GraphPreview, project: Project | None, script: Path) -> None:
    if project is not None:
        show.say(f"{project.name} {project.version}".rstrip() + f": {script}, {show.rate(found.tick_rate)}")
    else:
        show.say(f"{script}: {show.rate(found.tick_rate)}")
    table(
        (
            Column(">", 5),
            Column("node", 10),
            Column(">rate", 8),
            Column(">order", 3),
            Column(">core", 4),
            Column(">due after", 6),
            Column("hears", 9, folds=True),
            Column("feeds", 7, folds=True),
        ),
        [
            (
                position,
                node.name,
                _when(node),
                node.order,
                node.core,
                show.duration(node.deadline_ms / 1e3),
                "; ".join(f"{each.topic} from {each.node}{_LAGS[each.lag]}" for each in node.hears) or "-",
                ", ".join(node.feeds) or "-",
            )
            for position, node in enumerate(found.nodes)
        ],
    )
    for note in found.notes:
        show.say(f"note: {note}")


def _when(node: NodePreview) -> str:
    if node.on:
        return f"on {node.on}"
    return show.rate(node.rate_hz) + (" compute" if node.compute else "")
