"""``horus top``."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option, positive
from horus_cli.keys import Keys, can_read_keys, single_keys
from horus_cli.screen import KEYS, Window
from horus_cli.tables import Column, folded, lines, table, wide_option, wide_wanted

if TYPE_CHECKING:
    from horus_core.inspection.observer import GraphView, Observer

# The columns, and what they say.
_NODES = {
    Column("node", 10): "name of the node",
    Column("state", 9): "starting, ready, stopped, ...",
    Column(">pid", 2): "number of its process",
    Column(">core", 1): "core that it is kept on; - for any",
    Column(">rate", 3): "ticks per second that it is to make",
    Column(">held", 8): "ticks per second in the last interval",
    Column(">busy p50", 6): "time that half of its ticks took at most, since the start",
    Column(">p99", 5): "time that 99 of 100 ticks took at most",
    Column(">max", 4): "time that the longest tick took",
    Column(">misses", 9): "ticks that were not done by their deadline",
    Column(">restarts", 6): "how often it was started again",
    Column(">cpu", 7): "share of a core in the last interval",
    Column(">memory", 5): "memory of its process",
    Column(">unread", 4): "messages that wait for it",
}
_TOPICS = {
    Column("topic", 10): "name of the topic",
    Column(">rate", 9): "messages per second in the last interval",
    Column(">messages", 6): "messages since the start",
    Column("publishers", 8, folds=True): "nodes that send on it",
    Column("subscribers", 7, folds=True): "nodes that hear it",
}


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
@wide_option
@json_option("Print JSON: with --once one document, else one line per look.")
def command(graph: str | None, once: bool, interval: float, as_json: bool) -> None:
    """Watch a running graph: its nodes with their processes, and its topics. q ends, and ? shows keys and columns.

    Rates and the processor's share are those of the last interval, busy times those since the start.

    \b
    horus top                  the only graph that runs
    horus top -g robot --once  a look at one of several, as text
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
        show.say_lines("\n".join(folded(_head(view), show.columns())) if show.at_terminal() else _head(view))
        table(list(_NODES), _node_rows(view))
        show.say()
        table(list(_TOPICS), _topic_rows(view))
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

    window, pressed = Window(wide_wanted()), Keys()
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(single_keys()) if can_read_keys() else None
        view = observer.look()
        live = stack.enter_context(Live(_picture(view, window, keys), screen=True, auto_refresh=False))
        due = time.monotonic() + interval
        while observer.alive and not window.over:
            for key in pressed.named(_typed(keys, max(0.0, due - time.monotonic()))):
                window.press(key)
            if time.monotonic() >= due:
                due = time.monotonic() + interval
                seen = observer.look()
                view = view if window.held else seen
            live.update(_picture(view, window, keys), refresh=True)
    if not observer.alive:
        show.say(f"graph {observer.graph.name} has ended")


def _typed(keys: int | None, seconds: float) -> bytes:
    """What is typed, if it is within so many seconds; q if nobody is there any more."""
    if keys is None:
        time.sleep(seconds)
        return b""
    ready, _, _ = select.select([keys], [], [], seconds)
    return (os.read(keys, 64) or b"q") if ready else b""


def _picture(view: GraphView, window: Window, keys: int | None) -> Any:
    """What is drawn now."""
    from rich.text import Text

    width, height = shutil.get_terminal_size()
    drawn = _help(width) if window.help else _lines(view, width, window.wide)
    frame = window.frame(drawn, width, height, keys is not None)
    return Text("\n".join(frame), no_wrap=True, overflow="crop", end="")


def _lines(view: GraphView, width: int, wide: bool) -> list[str]:
    """The tables of a look."""
    room, hint = None if wide else width, "; w shows all"
    nodes = lines(list(_NODES), _node_rows(view), room, hint=hint)
    topics = lines(list(_TOPICS), _topic_rows(view), room, hint=hint)
    return [*folded(show.one_line(_head(view)), width), "", *nodes, "", *topics]


def _help(width: int) -> list[str]:
    """The page about keys and columns."""
    topics = [(column.heading, meaning) for column, meaning in _TOPICS.items()]
    nodes = [(column.heading, meaning) for column, meaning in _NODES.items()]
    parts = (("key", KEYS), ("of nodes", nodes), ("of topics", topics))
    tables = [lines((title, Column("", folds=True)), rows, width) for title, rows in parts]
    return [line for made in tables for line in (*made, "")]


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
