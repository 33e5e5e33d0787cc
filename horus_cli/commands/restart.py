"""``horus restart``."""

from __future__ import annotations

import click

from horus_cli.arguments import positive
from horus_cli.daemons import connected, name_argument, started, system_option


@click.command("restart")
@name_argument
@click.option(
    "--timeout",
    type=float,
    default=15.0,
    show_default=True,
    metavar="S",
    callback=positive("seconds"),
    help="Kill it if it has not ended in order by then.",
)
@click.option("--no-wait", is_flag=True, help="Return before its nodes are ready.")
@system_option
def command(name: str, timeout: float, no_wait: bool, system: bool | None) -> int:
    """End graph NAME in order if it runs, and start it, with its project and script as they are now."""
    with connected(system) as daemon:
        before = daemon.graph(name)
        graph = daemon.restart(name, timeout)
        if not no_wait:
            daemon.wait_until_started(name, before.starts, timeout)
        return started(daemon, graph, no_wait)
