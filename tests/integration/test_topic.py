"""``Topic``: talking to a running graph from outside it, from this process and from others."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import horus
from horus import Node, NotRunning, Scheduler, Topic, UnknownTopic, UnsendableValue
from tests.plain_arrow import ran, sent, values
from tests.scripts import wait_until

ROOT = Path(__file__).parents[2]


@contextmanager
def running(name: str, **options: Any) -> Iterator[Scheduler]:
    """A graph on a thread: `echo` and `second` send back what they hear on `goal`, with their tick."""
    scheduler = Scheduler(**{"tick_rate": 100, "name": name, "recording": name, "deterministic": True, **options})

    def echo(node: Node) -> None:
        for goal in node.recv_all("goal"):
            node.send("heard", [horus.tick(), goal])

    scheduler.add(Node(name="beat", tick=lambda node: node.send("pulse", horus.tick()), pubs="pulse", rate=100))
    scheduler.add(Node(name="echo", tick=echo, subs="goal", pubs="heard", rate=100))
    scheduler.add(
        Node(
            name="second",
            tick=lambda node: [node.send("seen", [horus.tick(), g]) for g in node.recv_all("goal")],
            subs="goal",
            pubs="seen",
            rate=100,
        )
    )
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        wait_until(lambda: scheduler.current_tick() > 3 or not thread.is_alive(), what="the first ticks")
        assert thread.is_alive()
        yield scheduler
    finally:
        scheduler.stop()
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_is_sent_from_outside_is_seen_by_all_from_one_tick_on_and_recorded_as_external(
    deterministic: bool,
) -> None:
    with running("outside", deterministic=deterministic) as scheduler:
        topic, heard = Topic("goal"), Topic("heard", graph="outside")
        before = []
        for number in range(20):
            before.append(scheduler.current_tick())
            assert topic.send({"x": number, "größe": [None, -0.0]}) is True
            assert heard.recv(timeout=10)[1]["x"] == number
        assert heard.recv() is None
        assert repr(topic) == "Topic('goal', graph='outside')"
    files = scheduler.stop_recording()
    external = sent(files, "external")
    assert [row.topic for row in external] == ["goal"] * 20
    assert [row.sequence for row in external] == list(range(20))
    assert [value for _, value in values(files, "external")] == [
        {"x": number, "größe": [None, -0.0]} for number in range(20)
    ]
    assert [row.tick for row in external] == [row.visible for row in external]
    assert all(tick >= released for tick, released in zip([row.tick for row in external], before, strict=True))
    for name in ("echo", "second"):
        ticks = [row.tick for row in ran(files, name)]  # in real time it may have missed one
        expected = [
            [next((tick for tick in ticks if tick >= row.tick), None), {"x": row.sequence, "größe": [None, -0.0]}]
            for row in external
        ]
        assert [value for _, value in values(files, name)] == [each for each in expected if each[0] is not None]
        assert not deterministic or [tick for tick, _ in expected] == [row.tick for row in external]


def test_what_came_from_outside_is_replayed_in_its_ticks() -> None:
    with running("outside") as scheduler:
        topic, heard = Topic("goal"), Topic("heard")
        for number in range(5):
            topic.send(number)
            assert heard.recv(timeout=10)[1] == number
    files = scheduler.stop_recording()
    expected = [(row.tick, row.payload) for row in sent(files, "external")]
    found: list[tuple[int, Any]] = []
    replay = Scheduler.replay_from(files[0], execution="inline").set_replay_speed(0)
    replay.add(
        Node(
            name="echo",
            tick=lambda node: found.extend((horus.tick(), goal) for goal in node.recv_all("goal")),
            subs="goal",
            pubs="heard",
            rate=100,
        )
    )
    replay.run()
    assert [tick for tick, _ in found] == [tick for tick, _ in expected]
    assert [goal for _, goal in found] == list(range(5))

    again = Scheduler.replay_from(files[0], recording="again").set_replay_speed(0)
    again.run()
    repeated = again.stop_recording()
    assert [(row.tick, row.payload) for row in sent(repeated, "external")] == expected
    assert values(repeated, "echo") == values(files, "echo")


SENDER = """
import sys
sys.path.insert(0, sys.argv[1])
import horus
topic = horus.Topic("goal", graph="crowd")
for number in range(50):
    topic.send([sys.argv[2], number])
"""


def test_several_processes_may_send_at_once() -> None:
    with running("crowd") as scheduler:
        heard = Topic("heard")
        senders = [subprocess.Popen([sys.executable, "-c", SENDER, str(ROOT), name]) for name in ("a", "b", "c")]
        assert [sender.wait(30) for sender in senders] == [0, 0, 0]
        received = [heard.recv(timeout=10)[1] for _ in range(150)]
    for name in ("a", "b", "c"):
        assert [number for sender, number in received if sender == name] == list(range(50))
    assert [value for _, value in values(scheduler.stop_recording(), "external")] == received


def test_reading_from_outside_holds_nobody_up_and_misses_nothing_if_it_keeps_pace() -> None:
    with running("read") as scheduler:
        pulse = Topic("pulse")
        received = [pulse.recv(timeout=5) for _ in range(40)]
        assert received == list(range(received[0], received[0] + 40))
        assert pulse.dropped == 0
        assert pulse.recv(timeout=0) in (None, received[-1] + 1)
    assert len(ran(scheduler.stop_recording(), "beat")) > 40


def test_a_topic_that_is_not_there_and_a_value_that_cannot_be_sent_are_named() -> None:
    with running("robot"):
        with pytest.raises(UnknownTopic, match=r"'goals'.*did you mean 'goal'"):
            Topic("goals")
        with pytest.raises(UnsendableValue, match="'goal'"):
            Topic("goal").send(object())
        with pytest.raises(NotRunning, match=r"called 'robo'.*robot"):
            Topic("goal", graph="robo")


def test_without_a_graph_there_is_nobody_to_talk_to() -> None:
    with pytest.raises(NotRunning, match="running now: none"):
        Topic("goal")
    with pytest.raises(NotRunning, match="called 'robot'"):
        Topic("goal", graph="robot")


def test_with_two_graphs_one_must_be_chosen() -> None:
    with running("left"), running("right"):
        with pytest.raises(NotRunning, match=r"left.*right|right.*left"):
            Topic("goal")
        heard = {name: Topic("heard", graph=name) for name in ("left", "right")}
        Topic("goal", graph="left").send("to the left")
        assert heard["left"].recv(timeout=10)[1] == "to the left"
        assert heard["right"].recv(timeout=0.2) is None


def test_a_graph_that_has_ended_takes_nothing_any_more() -> None:
    with running("short"):
        topic = Topic("goal")
    with pytest.raises(NotRunning, match="'short'"):
        topic.send(1)
    assert topic.recv(timeout=0.1) is None
