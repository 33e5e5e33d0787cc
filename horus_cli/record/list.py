"""``horus record list``: the recorded sessions."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.tables import Column, table, wide_option

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SORTS = ("name", "date", "duration", "ticks", "size")


def _point(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """The time that an option means, in ns since 1970: an age (``90m``, ``2d``) or a local date, with or without a time."""
    if value is None:
        return None
    from datetime import datetime

    with contextlib.suppress(ValueError, KeyError, OverflowError):
        return round((time.time() - float(value[:-1]) * _UNITS[value[-1]]) * 1e9)
    with contextlib.suppress(ValueError, OverflowError):
        return round(datetime.fromisoformat(value).timestamp() * 1e9)
    raise click.BadParameter(
        f"{value!r} is no age (30m, 12h, 2d) and no date (2026-03-01, 2026-03-01T14:30)", ctx, param
    )


if TYPE_CHECKING:
    from horus_core.recording.reading.summary import SessionOverview


@click.command("list")
@click.option("--long", "-l", is_flag=True, help="Also messages, parts and the names of the nodes.")
@click.option(
    "--since",
    metavar="WHEN",
    callback=_point,
    help="Only sessions recorded since: 30m, 12h or 2d ago, or a local date (2026-03-01, 2026-03-01T14:30).",
)
@click.option("--larger", type=click.FloatRange(min=0), metavar="MB", help="Only sessions of more than so many MB.")
@click.option("--failed", is_flag=True, help="Only sessions that a failure or a kill ended.")
@click.option(
    "--sort",
    type=click.Choice(_SORTS),
    default="date",
    show_default=True,
    help="The order: the oldest first by date; the largest first by duration, ticks and size.",
)
@wide_option
@json_option()
def command(long: bool, since: int | None, larger: float | None, failed: bool, sort: str, as_json: bool) -> None:
    """List the recorded sessions, the oldest first.

    STATE is complete, partial (messages or files are missing), running (being recorded now) or recovered (its recorder was
    killed; it reads up to there), and how many messages are known to be missing; behind it, failed if a failure ended the run.
    What is inside batches is not looked at: info does that.

    \b
    horus record list --since 2d --sort size
    horus record list --failed --larger 500
    """
    from horus_core.recording.keeping.listing import list_sessions, selected

    everything = list_sessions(count_messages=long)
    found = selected(everything, since, None if larger is None else round(larger * 1e6), failed, sort)
    if as_json:
        show.as_json(found)
        return
    if not everything.sessions and not found.unreadable:
        show.say(f"no sessions in {found.folder}; record one with horus run --record NAME SCRIPT")
        return
    if everything.sessions and not found.sessions:
        show.say(f"none of {len(everything.sessions)} sessions")
    columns = [
        Column("session", 10),
        Column("recorded", 7),
        Column(">duration", 6),
        Column(">ticks", 4),
        Column(">nodes", 3),
        Column(">size", 8),
        Column("state", 9),
    ]
    rows: list[tuple[object, ...]] = [
        (
            each.name,
            show.when(each.created_ns),
            show.duration(each.duration),
            f"{each.ticks:,} from {each.first_tick:,}" if each.first_tick else f"{each.ticks:,}",
            len(each.nodes),
            show.size(each.size),
            _state(each) + (", failed" if each.failed and each.state in ("complete", "partial") else ""),
            *((f"{each.messages:,}", each.parts, ", ".join(each.nodes)) if long else ()),
        )
        for each in found.sessions
    ]
    if long:
        columns += [Column(">messages", 5), Column(">parts", 1), Column("names of the nodes", 2, folds=True)]
    if rows:
        table(columns, rows)
    for one in found.unreadable:
        show.complain(show.one_line(f"{one.name}: {one.problem}"))


def _state(session: SessionOverview) -> str:
    lost = [f"{node or 'all nodes'} lost {messages:,}" for node, messages in session.lost.items()]
    return f"{session.state}: {', '.join(lost)}" if lost else session.state
