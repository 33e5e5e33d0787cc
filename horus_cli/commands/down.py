"""``horus down``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import positive
from horus_cli.daemons import connected, name_argument, system_option

_MORE_SECONDS = 10.0  # for what is killed to be gone


@click.command("down")
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
@click.option("--forget", is_flag=True, help="Drop it from 'horus ps', too.")
@system_option
def command(name: str, timeout: float, forget: bool, system: bool | None) -> None:
    """End graph NAME in order, and do not start it again; 'horus restart NAME' does.

    Every node's shutdown runs, and the recording is closed.
    """
    with connected(system) as daemon:
        daemon.down(name, timeout, forget)
        graph = daemon.wait_until_down(name, timeout + _MORE_SECONDS)
    how = f": {graph.ended.why}" if graph is not None and graph.ended is not None and graph.ended.why else ""
    show.say(show.one_line(f"graph {name} is down{how}"))
