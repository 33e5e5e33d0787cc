"""``horus daemon logs``."""

from __future__ import annotations

import click

from horus_cli.daemons import print_log, system_option


@click.command("logs")
@click.option("--follow", "-f", is_flag=True, help="Print what comes, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=50, metavar="N", help="The last N lines.")
@system_option
def command(follow: bool, lines: int, system: bool | None) -> None:
    """Show the daemon's own log; under systemd the journal has it too (journalctl -u horusd)."""
    from horus_daemon.places import find_places

    print_log(find_places(system).daemon_log, lines, follow)
