"""``horus daemon start``."""

from __future__ import annotations

import click

from horus_cli import show


@click.command("start")
def command() -> None:
    """Start your daemon in the background.

    It starts the graphs that should be running. To have it from boot on, let systemd start it: see docs/daemon.md.
    """
    from horus_daemon.background import start_daemon

    status = start_daemon()
    running = sum(state in ("starting", "running") for state in status.graphs.values())
    show.say(f"horusd runs, pid {status.pid}; {running} graphs, {status.adopted} of them were running already")
