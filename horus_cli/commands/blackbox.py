"""``horus blackbox``: the flight recorders of running and of killed graphs."""

from __future__ import annotations

import click

from horus_cli.lazy import LazyGroup

COMMANDS = {
    "list": "List flight recorders in memory, and what was saved of them.",
    "save": "Save what a flight recorder holds as a session.",
    "show": "Say what a saved one holds, or what went wrong in it.",
}


@click.group("blackbox", cls=LazyGroup, package="horus_cli.blackbox", lines=COMMANDS)
def command() -> None:
    """Look at flight recorders: the last MB of a graph, kept in memory by Scheduler(blackbox_mb=N).

    One is saved by itself when a node fails, when safe mode begins, and at the next start after a graph was killed.
    """
