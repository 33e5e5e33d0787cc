"""``horus record``: everything about recorded sessions."""

from __future__ import annotations

import click

from horus_cli.lazy import LazyGroup

COMMANDS = {
    "list": "List the recorded sessions.",
    "info": "Say what a session holds.",
    "replay": "Play a session back.",
    "inject": "Run live nodes against recorded ones.",
    "diff": "Compare two sessions.",
    "export": "Write messages as CSV, Parquet, JSON lines or Arrow.",
    "plot": "Draw values over time.",
    "trim": "Keep a range of ticks, or some nodes and topics.",
    "merge": "Put sessions together.",
    "repair": "Make a session whole that was cut short or damaged.",
    "prove": "Kill a recorded graph, again and again, and check what is left.",
    "rename": "Give a session another name.",
    "delete": "Delete sessions.",
    "clean": "Delete old sessions.",
}


@click.group("record", cls=LazyGroup, package="horus_cli.record", lines=COMMANDS)
def command() -> None:
    """Look at recorded sessions, replay, compare, export and keep them.

    SESSION is a session's name, or a path: its folder, or any file in it. Sessions are kept in $HORUS_RECORDINGS, else in
    ~/.local/share/horus/recordings.
    """
