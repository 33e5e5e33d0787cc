"""``horus record delete``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.asking import confirmed
from horus_cli.record.differences import count
from horus_cli.record.options import session_argument, yes_option


@click.command("delete")
@session_argument("sessions", nargs=-1, required=True)
@yes_option
@json_option()
def command(sessions: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete SESSIONS for good. Asks first; one that is being recorded is never touched."""
    from horus_core.recording.keeping.listing import deletable_size
    from horus_core.recording.keeping.sessions import delete_session

    names = list(dict.fromkeys(sessions))
    size = sum(deletable_size(name) for name in names)
    what = names[0] if len(names) == 1 else count(len(names), "session")
    if not confirmed(f"Delete {what} ({show.size(size)})?", yes):
        show.say("nothing deleted", err=as_json)
        return
    for name in names:
        delete_session(name)
    if as_json:
        show.as_json({"deleted": names, "freed": size})
    else:
        show.say(f"deleted {', '.join(names)} ({show.size(size)})")
