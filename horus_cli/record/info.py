"""``horus record info``: what a session holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.options import session_argument
from horus_cli.tables import Column, table, wide_option

if TYPE_CHECKING:
    from horus_core.recording.reading.summary import SessionSummary

_MOST_LINES = 20


@click.command("info")
@session_argument()
@wide_option
@json_option()
def command(session: str, as_json: bool) -> None:
    """Say what SESSION holds: graph, nodes, topics, ticks, what happened and what is missing.

    \b
    horus record info monday
    horus record info ./monday/sensor@5f0c2b1a.arrow --wide
    """
    from horus_core.recording.keeping.sessions import find_session
    from horus_core.recording.reading.summary import summarize

    read = find_session(session)
    with progress("reading", read):
        found = summarize(read)
    if as_json:
        show.as_json(found)
        return
    _show_run(found)
    show.say()
    _show_nodes(found)
    show.say()
    _show_topics(found)
    from horus_core.recording.reading.loss import ticks_between

    _show_lines("Incidents", [_incident(found, place) for place in range(len(found.incidents))])
    _show_lines(
        "Missing messages",
        [str(loss) for loss in found.losses]
        + [
            f"{hole.topic} of {hole.node}: {hole.stop - hole.first:,} {ticks_between(hole.after_tick, hole.before_tick)}"
            for hole in found.holes
        ],
    )
    _show_lines("Damage", found.damage)


def _show_run(found: SessionSummary) -> None:
    time = "virtual time" if found.deterministic else "real time"
    facts = {
        "session": found.name,
        "state": f"{found.state}{', repaired' if found.repaired else ''}",
        "recorded": show.when(found.created_ns),
        "ticks": f"{found.ticks:,} ({found.first_tick} to {found.last_tick}), {show.duration(found.duration)}",
        "graph": f"{show.rate(found.tick_rate)}, {time}, seed {found.seed}",
        "messages": f"{found.messages:,}, {found.loss}",
        "not recorded": ", ".join(found.not_recorded),
        "size": show.size(found.size),
        "script": f"{found.script} (SHA-256 {found.script_sha256[:12]})" if found.script else "-",
        "replay of": found.replay_of,
        "host": f"{found.host} ({found.machine})",
        "versions": ", ".join(f"{name} {version}" for name, version in found.versions.items()),
        "events": ", ".join(f"{name} {number:,}" for name, number in found.events.items()),
    }
    show.facts({name: fact for name, fact in facts.items() if fact})


def _show_nodes(found: SessionSummary) -> None:
    columns = [
        Column("node", 10),
        Column(">rate", 5),
        Column(">ticks", 9),
        Column(">misses", 9),
        Column(">errors", 8),
        Column(">restarts", 7),
        Column(">median", 5),
        Column(">99 %", 4),
        Column(">longest", 3),
        Column(">messages", 7),
        Column(">bytes", 2),
        Column(">dropped", 6),
        Column("", 8),
    ]
    rows = [
        (
            node.name,
            show.rate(node.rate or None),
            f"{node.ticks:,}",
            node.late,
            node.errors,
            node.events.get("restart", 0),
            *(
                show.duration(each / 1e9) if node.ticks else "-"
                for each in (node.busy_p50, node.busy_p99, node.busy_max)
            ),
            f"{node.messages:,}",
            show.size(node.bytes),
            node.dropped,
            "replayed" if node.replayed else "compute" if node.compute else "",
        )
        for node in found.nodes
        if node.ticks or node.messages or node.rate
    ]
    table(columns, rows)


def _show_topics(found: SessionSummary) -> None:
    unsure = {loss.node for loss in found.losses if not loss.counted}
    rows = [
        (
            topic.topic,
            topic.node,
            topic.type or "any",
            f"{topic.messages:,}",
            show.rate(topic.rate),
            show.size(topic.bytes),
            f"{topic.lost or ''}+" if topic.node in unsure else topic.lost,
        )
        for topic in found.topics
        if topic.messages or topic.lost or topic.node in {node.name for node in found.nodes if node.rate}
    ]
    columns = [Column("topic", 10), Column("node", 7), Column("type", 3), Column(">messages", 9), Column(">rate", 5)]
    table([*columns, Column(">bytes", 4), Column(">lost", 8)], rows)


def _show_lines(title: str, lines: list[str]) -> None:
    if not lines:
        return
    show.say()
    show.say(title)
    for line in lines[:_MOST_LINES]:
        show.say(f"  {show.one_line(line)}")
    if len(lines) > _MOST_LINES:
        show.say(f"  and {len(lines) - _MOST_LINES:,} more (--json lists them)")


def _incident(found: SessionSummary, place: int) -> str:
    incident = found.incidents[place]
    detail = "" if incident.detail in (None, {}, "") else f"  {show.value(incident.detail)}"
    return f"tick {incident.tick}  {incident.node or 'graph'}  {incident.event}{detail[:200]}"
