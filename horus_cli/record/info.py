"""``horus record info``: what a session holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import session_argument

if TYPE_CHECKING:
    from horus_core.recording.reading.summary import SessionSummary

_MOST_LINES = 20


@click.command("info")
@session_argument()
@json_option()
def command(session: str, as_json: bool) -> None:
    """Say what SESSION holds: graph, nodes, topics, ticks, what happened and what is missing."""
    from horus_core.recording.keeping.sessions import find_session
    from horus_core.recording.reading.summary import summarize

    found = summarize(find_session(session))
    if as_json:
        show.as_json(found)
        return
    _show_run(found)
    click.echo()
    _show_nodes(found)
    click.echo()
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
        "node",
        ">rate",
        ">ticks",
        ">misses",
        ">errors",
        ">restarts",
        ">median",
        ">99 %",
        ">longest",
        ">messages",
    ]
    columns += [">bytes", ">dropped", ""]
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
    show.table(columns, rows)


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
    show.table(["topic", "node", "type", ">messages", ">rate", ">bytes", ">lost"], rows)


def _show_lines(title: str, lines: list[str]) -> None:
    if not lines:
        return
    click.echo(f"\n{title}")
    for line in lines[:_MOST_LINES]:
        click.echo(f"  {show.one_line(line)}")
    if len(lines) > _MOST_LINES:
        click.echo(f"  and {len(lines) - _MOST_LINES:,} more (--json lists them)")


def _incident(found: SessionSummary, place: int) -> str:
    incident = found.incidents[place]
    detail = "" if incident.detail in (None, {}, "") else f"  {show.value(incident.detail)}"
    return f"tick {incident.tick}  {incident.node or 'graph'}  {incident.event}{detail[:200]}"
