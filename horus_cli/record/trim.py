"""``horus record trim``: a session of a range of ticks."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.edited import show_edit
from horus_cli.record.options import nodes_option, range_options, session_argument, topics_option

_SECONDS = click.FloatRange(min=0)


@click.command("trim")
@session_argument()
@click.argument("new")
@range_options("Keep ticks")
@click.option("--start-time", type=_SECONDS, metavar="S", help="Keep what is at least S seconds after the first tick.")
@click.option("--stop-time", type=_SECONDS, metavar="S", help="Keep what is at most S seconds after the first tick.")
@nodes_option("Keep these nodes only, and what they sent.")
@topics_option("Keep what was sent on these topics only.")
@json_option()
def command(
    session: str,
    new: str,
    start_tick: int | None,
    stop_tick: int | None,
    start_time: float | None,
    stop_time: float | None,
    nodes: list[str] | None,
    topics: list[str] | None,
    as_json: bool,
) -> None:
    """Make session NEW of a range of SESSION's ticks, or of some nodes and topics, with its logs and script.

    SESSION stays as it is. Times are the graph's, in seconds. NEW says which topics were left out.

    \b
    horus record trim monday bug --start-time 12.5 --stop-time 20
    horus record trim monday small --topics 'odom,cmd*'
    """
    from horus_core.recording.keeping.edit import tick_at, trim
    from horus_core.recording.keeping.sessions import find_session

    if (start_tick, start_time).count(None) == 0 or (stop_tick, stop_time).count(None) == 0:
        raise click.UsageError("give a tick or a time, not both")
    if all(each is None for each in (start_tick, stop_tick, start_time, stop_time, nodes, topics)):
        raise click.UsageError("give --start-tick, --stop-tick, --start-time, --stop-time, --nodes or --topics")
    found = find_session(session)
    start = start_tick if start_time is None else tick_at(found, start_time)
    stop = stop_tick if stop_time is None else tick_at(found, stop_time, last=True)
    with progress("trimming", found):
        report = trim(found, new, start, stop, nodes, topics)
    if as_json:
        show.as_json(report)
    else:
        show_edit(report)
