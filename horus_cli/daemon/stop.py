"""``horus daemon stop``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.daemons import connected, system_option


@click.command("stop")
@click.option("--graphs", is_flag=True, help="End its graphs first; they start again with the next daemon.")
@system_option
def command(graphs: bool, system: bool | None) -> None:
    """End the daemon. Its graphs go on, and the next daemon takes them over."""
    from horus_daemon.background import stop_daemon

    with connected(system) as daemon:
        status = stop_daemon(daemon, graphs)
    running = sum(state in ("starting", "running") for state in status.graphs.values())
    show.say("horusd has ended" + (f"; {running} graphs go on without it" if running and not graphs else ""))
