"""``horus blackbox list``: flight recorders in memory and saved ones."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option


@click.command("list")
@json_option()
def command(as_json: bool) -> None:
    """List the flight recorders in shared memory, and the sessions that were saved of earlier ones."""
    from horus_core.recording.keeping.blackbox import describe_blackboxes

    found = describe_blackboxes()
    if as_json:
        show.as_json(found)
        return
    for box in found.in_memory:
        state = "recording" if box.alive else "left by a killed graph; horus blackbox save keeps it"
        show.say(f"{box.graph} ({box.id}): {show.size(box.size)} in memory, {state}")
    for name in found.saved:
        show.say(f"saved: {show.one_line(name)}")
    if not found.in_memory and not found.saved:
        show.say("no flight recorder; a graph has one with Scheduler(blackbox_mb=N)")
