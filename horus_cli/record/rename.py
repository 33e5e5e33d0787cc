"""``horus record rename``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import session_argument


@click.command("rename")
@session_argument()
@click.argument("new")
@json_option()
def command(session: str, new: str, as_json: bool) -> None:
    """Give SESSION the name NEW."""
    from horus_core.recording.keeping.edit import rename
    from horus_core.recording.keeping.sessions import find_session

    found = find_session(session)
    folder = rename(found, new)
    if as_json:
        show.as_json({"session": folder.name, "folder": str(folder), "before": found.name})
    else:
        show.say(f"{show.one_line(found.name)} is now {folder.name}")
