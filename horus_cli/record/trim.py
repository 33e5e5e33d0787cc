"""``horus record trim``: a session of a range of ticks."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.edited import show_edit
from horus_cli.record.options import range_options, session_argument


@click.command("trim")
@session_argument()
@click.argument("new")
@range_options("Keep ticks")
@json_option()
def command(session: str, new: str, start_tick: int | None, stop_tick: int | None, as_json: bool) -> None:
    """Make session NEW of a range of SESSION's ticks, with its logs and script. SESSION stays as it is."""
    from horus_core.recording.keeping.edit import trim
    from horus_core.recording.keeping.sessions import find_session

    if start_tick is None and stop_tick is None:
        raise click.UsageError("give --start-tick, --stop-tick or both")
    report = trim(find_session(session), new, start_tick, stop_tick)
    if as_json:
        show.as_json(report)
    else:
        show_edit(report)
