"""``horus logs``."""

from __future__ import annotations

import click

from horus_cli.daemons import name_argument, print_log, system_option


@click.command("logs")
@name_argument
@click.option("--node", metavar="NODE", help="Only what this node printed.")
@click.option("--follow", "-f", is_flag=True, help="Print what comes, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=50, metavar="N", help="The last N lines.")
@system_option
def command(name: str, node: str | None, follow: bool, lines: int, system: bool | None) -> None:
    """Show what graph NAME printed: its script, its nodes, and how it started and ended. The daemon need not run.

    'horus log NODE' shows what one node printed and logged in its current run.
    """
    from horus_daemon.errors import UnknownGraph
    from horus_daemon.places import find_places

    places = find_places(system)
    path = places.graph_log(name)
    if not path.is_file() or path.parent != places.logs:
        known = sorted(each.stem for each in places.logs.glob("*.log") if each != places.daemon_log)
        raise UnknownGraph(name, tuple(known))
    print_log(path, lines, follow, node)
