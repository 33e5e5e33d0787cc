"""``horus daemon status``."""

from __future__ import annotations

import time

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.daemons import connected, system_option

NOT_RUNNING = 3  # the exit code that init scripts use for it


@click.command("status")
@system_option
@json_option()
def command(system: bool | None, as_json: bool) -> int:
    """Say how the daemon is: process, version, graphs. Exit code 3 if it does not run."""
    from horus_daemon.errors import DaemonNotRunning

    try:
        with connected(system) as daemon:
            status, places = daemon.status(), daemon.places
    except DaemonNotRunning as problem:
        if as_json:
            show.as_json(None)
        show.complain(show.one_line(problem))
        return NOT_RUNNING
    if as_json:
        show.as_json(status)
        return 0
    states = list(status.graphs.values())
    show.facts(
        [
            ("pid", status.pid),
            ("version", status.server),
            ("for", "the system" if places.shared else "you"),
            ("up", show.duration(time.time() - status.started_ns / 1e9)),
            ("graphs", ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states)) or "none"),
            ("taken over", status.adopted),
            ("requests", f"{status.requests}, {status.refused} refused"),
            ("sockets", places.runtime),
            ("state", status.state_file),
            ("logs", status.logs),
        ]
    )
    return 0
