"""``horus blackbox save``: keeps what a flight recorder holds."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option


@click.command("save")
@click.argument("graph", required=False)
@click.option("--name", help="The session's name; by default blackbox_, the graph's name and the date.")
@json_option()
def command(graph: str | None, name: str | None, as_json: bool) -> None:
    """Save what the flight recorder of GRAPH (a name or an id) holds now as a session; the graph goes on.

    Without GRAPH, the only one there is. A graph that was killed counts too.
    """
    from horus_core.recording.keeping.blackbox import save_blackbox_of

    folder = save_blackbox_of(graph, name)
    if as_json:
        show.as_json({"session": folder.name, "folder": str(folder)})
    else:
        show.say(f"saved as session {show.one_line(folder.name)}; horus blackbox show NAME --anomalies looks at it")
