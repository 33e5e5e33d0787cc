"""``horus daemon``: the service that owns graphs."""

from __future__ import annotations

import click

from horus_cli.lazy import LazyGroup

COMMANDS = {
    "start": "Start the daemon in the background.",
    "stop": "End the daemon; its graphs go on.",
    "status": "Say how the daemon is.",
    "logs": "Show the daemon's own log.",
}


@click.group("daemon", cls=LazyGroup, package="horus_cli.daemon", lines=COMMANDS)
def command() -> None:
    """Start, stop and look at horusd, the service that owns graphs: it starts them, watches them, and starts them again.

    Each user has one daemon, and the system may have one (--system, or HORUS_DAEMON=system). Without saying which, a command
    talks to yours if it runs, else to the system's. Graphs outlive their daemon: it can be stopped, killed and upgraded while
    they run, and takes them over when it is back.
    """
