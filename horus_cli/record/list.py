"""``horus record list``: the recorded sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option

if TYPE_CHECKING:
    from horus_core.recording.reading.summary import SessionOverview


@click.command("list")
@click.option("--long", "-l", is_flag=True, help="Also messages, parts and the names of the nodes.")
@json_option()
def command(long: bool, as_json: bool) -> None:
    """List the recorded sessions, the oldest first.

    STATE is complete, partial (messages or files are missing), running (being recorded now) or recovered (its recorder was
    killed; it reads up to there), and how many messages are known to be missing. What is inside batches is not looked at: info
    does that.
    """
    from horus_core.recording.keeping.listing import list_sessions

    found = list_sessions(count_messages=long)
    if as_json:
        show.as_json(found)
        return
    if not found.sessions and not found.unreadable:
        click.echo(f"no sessions in {found.folder}; record one with horus run --record NAME SCRIPT")
        return
    columns = ["session", "recorded", ">duration", ">ticks", ">nodes", ">size", "state"]
    rows: list[tuple[object, ...]] = [
        (
            each.name,
            show.when(each.created_ns),
            show.duration(each.duration),
            f"{each.ticks:,} from {each.first_tick:,}" if each.first_tick else f"{each.ticks:,}",
            len(each.nodes),
            show.size(each.size),
            _state(each),
            *((f"{each.messages:,}", each.parts, ", ".join(each.nodes)) if long else ()),
        )
        for each in found.sessions
    ]
    if long:
        columns += [">messages", ">parts", "names of the nodes"]
    if rows:
        show.table(columns, rows)
    for one in found.unreadable:
        show.complain(show.one_line(f"{one.name}: {one.problem}"))


def _state(session: SessionOverview) -> str:
    lost = [f"{node or 'all nodes'} lost {messages:,}" for node, messages in session.lost.items()]
    return f"{session.state}: {', '.join(lost)}" if lost else session.state
