"""``horus blackbox show``: what a saved flight recorder holds."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import session_argument

_USUAL = ("start", "ready", "end", "sent")


@click.command("show")
@session_argument()
@click.option("--anomalies", is_flag=True, help="Only what went wrong: misses, errors, crashes, restarts, gaps.")
@json_option()
def command(session: str, anomalies: bool, as_json: bool) -> None:
    """List the events of SESSION, a saved flight recorder or any recording, the oldest first."""
    from horus_core.recording.keeping.sessions import find_session

    found = find_session(session)
    events = [event for event in found.events() if not anomalies or event["event"] not in _USUAL]
    if as_json:
        show.as_json(events)
        return
    span = f"ticks {found.first_tick()} to {found.last_tick()}"
    show.say(
        f"{show.one_line(found.name)}: {found.state}, {span}, {len(events)} {'anomalies' if anomalies else 'events'}"
    )
    for event in events:
        where = f" {event['node']}" if event["node"] else ""
        detail = "" if event["detail"] == "{}" else f"  {event['detail']}"
        show.say(show.one_line(f"tick {event['tick']:>8}{where}: {event['event']}{detail}"))
