"""A graph seen from outside: its events and nodes, out of memory that the test lays out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.inspection.running_graphs import RunningGraph, RunningNode, announce
from horus_core.memory.control import (
    ENDED,
    H_STATE,
    H_SUPERVISOR,
    H_VERSION,
    N_MISSES,
    N_PID,
    VERSION,
    Layout,
    create_control,
)
from horus_core.memory.lane import LaneWriter
from horus_core.memory.shared import SharedMemory
from horus_core.messages.encoding import RAW
from horus_daemon.daemon_to_client import PastEvent
from horus_daemon.events import Event, LogLine, Missed, NodeEvent
from horus_daemon.listener import Listener
from horus_daemon.observer import Observer, find_observer


class Laid:
    """A graph's shared memory, without the graph."""

    def __init__(self) -> None:
        self.memory = SharedMemory.new()
        self.layout = Layout(1, 2, ((), ()))
        self.control = create_control(self.memory, self.layout, 0, False)
        self.hold = self.memory.hold()
        self.control[H_SUPERVISOR] = os.getpid()
        self.writer = LaneWriter(self.memory, self.control, self.layout, self.layout.events, 256)
        node = RunningNode("arm", 100.0, 0, -1, False, "fatal", False)
        self.graph = RunningGraph(
            self.memory.graph, "robot", os.getpid(), time.time_ns(), 100.0, "/s.py", "", "", [node], []
        )

    def say(self, event: str, node: str = "arm", tick: int = 1, **detail: Any) -> None:
        self.put(msgspec.msgpack.encode((5, tick, node, event, detail)))

    def put(self, payload: bytes) -> None:
        self.writer.put(RAW, payload, 0, 0)
        self.writer.commit()


@pytest.fixture
def laid() -> Iterator[Laid]:
    made = Laid()
    yield made
    made.memory.remove_all()
    os.close(made.hold)


def test_events_come_once_each_in_their_order(laid: Laid) -> None:
    observer = Observer(laid.graph)
    assert observer.events() == []
    laid.say("ready", pid=7)
    laid.say("start", node="")
    assert observer.events() == [PastEvent(5, 1, "arm", "ready", {"pid": 7}), PastEvent(5, 1, "", "start", {})]
    assert observer.events() == []
    laid.say("miss", tick=3)
    assert [(event.event, event.tick) for event in observer.events()] == [("miss", 3)]


def test_nodes_are_told_with_what_happened_to_them_last(laid: Laid) -> None:
    observer = Observer(laid.graph)
    row = laid.layout.node(0)
    laid.control[row + N_PID], laid.control[row + N_MISSES] = 77, 3
    laid.say("ready")
    laid.say("miss")
    observer.events()
    (node,) = observer.nodes()
    assert (node.name, node.pid, node.state, node.misses, node.event) == ("arm", 77, "starting", 3, "miss")


def test_what_was_overwritten_or_cannot_be_read_is_counted_and_the_rest_read(laid: Laid) -> None:
    observer = Observer(laid.graph)
    for payload in (b"", b"\xc1", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"a": 1})):
        laid.put(payload)
    laid.say("ready")
    assert [event.event for event in observer.events()] == ["ready"]
    assert observer.take_dropped() == 4
    assert observer.take_dropped() == 0


def test_a_later_look_gets_what_is_still_there(laid: Laid) -> None:
    for number in range(3000):
        laid.say("miss", tick=number)
    observer = Observer(laid.graph)
    found: list[PastEvent] = []
    while more := observer.events():
        found += more
    assert found[-1].tick == 2999
    assert len(found) + observer.take_dropped() == 3000


def test_memory_of_another_version_is_not_read(laid: Laid) -> None:
    laid.control[H_VERSION] = VERSION + 1
    with pytest.raises(ValueError, match=f"layout {VERSION + 1}, this version of HORUS reads {VERSION}"):
        Observer(laid.graph)


def test_a_graph_is_found_by_its_process_until_it_has_ended(laid: Laid) -> None:
    assert find_observer(os.getpid()) is None
    announce(laid.graph)
    observer = find_observer(os.getpid())
    assert observer is not None
    assert observer.graph == laid.graph
    assert find_observer(1) is None
    laid.control[H_STATE] = ENDED
    assert observer.ended
    assert find_observer(os.getpid()) is None


# The listener.


@pytest.fixture
def listen(laid: Laid, tmp_path: Path) -> Iterator[Callable[..., tuple[Listener, list[Event]]]]:
    made: list[Listener] = []

    def start(history: bool = False) -> tuple[Listener, list[Event]]:
        published: list[Event] = []
        made.append(Listener("robot", tmp_path / "robot.log", published.append, find=lambda pid: Observer(laid.graph)))
        made[-1].begin(0.0, history)
        return made[-1], published

    yield start
    for each in made:
        each.close()


def test_what_happened_before_a_daemon_took_over_is_known_and_not_told_again(
    laid: Laid, listen: Callable[..., tuple[Listener, list[Event]]]
) -> None:
    laid.say("ready")
    listener, published = listen(history=True)
    listener.listen(1, 0.0)
    assert published == []
    assert [event.event for event in listener.recent.all()] == ["ready"]
    laid.say("miss")
    listener.listen(1, 0.1)
    assert [each.event for each in published if isinstance(each, NodeEvent)] == ["miss"]
    assert [event.event for event in listener.recent.all()] == ["ready", "miss"]


def test_what_the_daemon_was_too_slow_for_is_told(
    laid: Laid, listen: Callable[..., tuple[Listener, list[Event]]], tmp_path: Path
) -> None:
    (tmp_path / "robot.log").write_text("")
    listener, published = listen()
    laid.put(b"\xc1")
    (tmp_path / "robot.log").write_text("x" * (2 << 20) + "\n2026-03-01T12:00:00.000Z [arm] hello\n")
    listener.listen(1, 0.0)
    missed = [each for each in published if isinstance(each, Missed)]
    assert [(each.what, each.count > 0) for each in missed] == [("events", True), ("log bytes", True)]
    assert listener.lost == 1
    assert [(each.node, each.text) for each in published if isinstance(each, LogLine)][-1] == ("arm", "hello")


def test_the_last_words_of_a_graph_are_heard_after_its_memory_has_lost_its_name(
    laid: Laid, listen: Callable[..., tuple[Listener, list[Event]]]
) -> None:
    listener, published = listen()
    listener.listen(1, 0.0)
    laid.say("crash", reason="was killed by SIGSEGV")
    laid.memory.remove_all()
    listener.end()
    assert [(each.event, each.detail) for each in published if isinstance(each, NodeEvent)] == [
        ("crash", {"reason": "was killed by SIGSEGV"})
    ]
    assert [node.event for node in listener.nodes()] == ["crash"]
