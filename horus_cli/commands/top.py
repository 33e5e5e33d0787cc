"""``horus top``."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option, positive
from horus_cli.keys import can_read_keys, single_keys

if TYPE_CHECKING:
    from horus_core.inspection.observer import GraphView, Observer

_NODES = (
    "node",
    "state",
    ">pid",
    ">core",
    ">rate",
    ">held",
    ">busy p50",
    ">p99",
    ">max",
    ">misses",
    ">restarts",
    ">cpu",
    ">memory",
    ">unread",
)
_TOPICS = ("topic", ">rate", ">messages", "publishers", "subscribers")


@click.command("top")
@graph_option
@click.option("--once", is_flag=True, help="Look for one interval, print it, and end. In a pipe that is always so.")
@click.option(
    "--interval",
    type=float,
    default=1.0,
    show_default=True,
    metavar="S",
    callback=positive("seconds"),
    help="Seconds between two looks.",
)
@json_option("Print JSON: with --once one document, else one line per look.")
def command(graph: str | None, once: bool, interval: float, as_json: bool) -> None:
    """Watch a running graph: its nodes with their processes, and its topics. q ends.

    Rates and the processor's share are those of the last interval, busy times those since the start.
    """
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import find_graph

    observer = Observer(find_graph(graph))
    observer.look()
    if as_json:
        for view in _views(observer, interval):
            if once:
                show.as_json(view)
                return
            show.as_json_line(view)
    elif once or not show.at_terminal():
        view = next(_views(observer, interval))
        show.say(_head(view))
        show.table(_NODES, _node_rows(view))
        show.say()
        show.table(_TOPICS, _topic_rows(view))
    else:
        _watch(observer, interval)


def _views(observer: Observer, interval: float) -> Iterator[GraphView]:
    """What is seen after each interval, as long as the graph runs, and at least once."""
    while True:
        time.sleep(interval)
        yield observer.look()
        if not observer.alive:
            return


def _watch(observer: Observer, interval: float) -> None:
    """Draws the tables over the whole terminal until q, Ctrl-C, or the end of the graph."""
    from rich.live import Live

    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(single_keys()) if can_read_keys() else None
        live = stack.enter_context(Live(_picture(observer.look()), screen=True, auto_refresh=False))
        while observer.alive and not _asked_to_end(keys, interval):
            live.update(_picture(observer.look()), refresh=True)
    if not observer.alive:
        show.say(f"graph {observer.graph.name} has ended")


def _asked_to_end(keys: int | None, seconds: float) -> bool:
    """Waits; whether q was pressed."""
    if keys is None:
        time.sleep(seconds)
        return False
    ready, _, _ = select.select([keys], [], [], seconds)
    pressed = os.read(keys, 64) if ready else None
    return pressed is not None and (not pressed or b"q" in pressed.lower())


def _picture(view: GraphView) -> Any:
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(show.one_line(_head(view))), show.drawn(_NODES, _node_rows(view)), show.drawn(_TOPICS, _topic_rows(view))
    )


def _head(view: GraphView) -> str:
    parts = [f"graph {view.name} ({view.id})", f"process {view.pid}", f"tick {view.tick}"]
    parts.append(f"{show.rate(view.rate_held_hz)} of {show.rate(view.tick_rate)}")
    if view.session:
        lost = f", {view.recorded_lost} messages lost" if view.recorded_lost else ""
        parts.append(f"recording {view.session}: {show.size(view.recorded_bytes)}{lost}")
    return "   ".join(parts)


def _node_rows(view: GraphView) -> list[tuple[object, ...]]:
    return [
        (
            node.name,
            node.state,
            node.pid,
            "-" if node.core < 0 else node.core,
            show.rate(node.rate_hz),
            show.rate(node.rate_held_hz),
            show.duration(node.busy_p50_ms / 1e3),
            show.duration(node.busy_p99_ms / 1e3),
            show.duration(node.busy_max_ms / 1e3),
            node.deadline_misses,
            node.restarts,
            "-" if node.cpu_percent is None else f"{node.cpu_percent:.0f} %",
            "-" if node.memory_bytes is None else show.size(node.memory_bytes),
            node.unread,
        )
        for node in view.nodes
    ]


def _topic_rows(view: GraphView) -> list[tuple[object, ...]]:
    return [
        (
            topic.name,
            show.rate(topic.rate_hz),
            topic.messages,
            ", ".join(topic.publishers) or "-",
            ", ".join(topic.subscribers) or "-",
        )
        for topic in view.topics
    ]
