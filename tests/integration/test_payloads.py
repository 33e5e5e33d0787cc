"""Every type and every size that a topic carries, between processes, into a recording and out of it again."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

import horus
from horus import Node, Pub, Scheduler, Sub
from tests.plain_arrow import ran, sent, values


class CmdVel(msgspec.Struct):
    linear: float
    angular: float = 0.0


@dataclass
class Pose:
    x: float
    name: str
    covariance: np.ndarray


PLAIN: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan,
    "", "größe 左 😀", "x" * 200_000, b"", b"\x00\xff" * 100,
    [], {}, [[[[]]]], {"a": {"b": [1, {"c": None}]}}, {1: "int", "1": "str"}, list(range(1000)),
]  # fmt: skip

ARRAYS: list[np.ndarray | np.generic] = [
    np.float32(0.1), np.int64(-5), np.bool_(True), np.array(2.5), np.zeros(0), np.zeros((3, 0, 2), dtype="u1"),
    np.arange(12, dtype=">i4").reshape(3, 4).T, np.arange(100_000, dtype="f4")[::-3], np.array([[True, False]]),
    np.array(["a", "größe"]), np.array(["2026-11-22"], dtype="M8[ns]"), np.array([1 + 2j]),
    np.array([(1, 2.5)], dtype=[("id", "<u2"), ("pose", "<f8")]),
    np.arange(6_000_000 // 8, dtype=np.float64).reshape(-1, 250),
]  # fmt: skip


def fingerprint(value: Any) -> str:
    """A text that tells values apart that compare equal, or that don't equal themselves."""
    if isinstance(value, np.ndarray | np.generic):
        return f"{type(value).__name__} {value.dtype.descr} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {fingerprint(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(fingerprint, value)) + "]"
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_every_value_arrives_as_it_was_sent_and_is_replayed_as_it_arrived(execution: str) -> None:
    plain, arrays, look = PLAIN, ARRAYS, fingerprint

    def send(node: Node) -> None:
        for value in plain:
            node.send("plain", value)
        for each in arrays:
            node.send("arrays", each)
            node.send("arrays", {"nested": [each, {"again": each}]})
        node.send("cmd", CmdVel(1.5, -0.0))
        node.send("pose", Pose(0.5, "ü", np.arange(9.0)))
        node.send("float", 3)

    def receive(node: Node) -> None:
        # None may be a value: has_msg tells.
        received = []
        while node.has_msg("plain"):
            received.append(look(node.recv("plain")))
        node.send("seen", received)
        node.send("seen", [look(value) for value in node.recv_all("arrays")])
        command, pose, number = node.recv("cmd"), node.recv("pose"), node.recv("float")
        node.send(
            "seen",
            [type(command).__name__, command.linear, str(command.angular), type(pose).__name__, pose.x, pose.name],
        )
        node.send("seen", [look(pose.covariance), look(number)])

    typed: dict[str, Any] = {"plain": None, "arrays": None, "cmd": CmdVel, "pose": Pose, "float": float}
    scheduler = Scheduler(tick_rate=10, execution=execution, deterministic=True, pace=False, recording="payloads")
    scheduler.add(Node(name="sender", tick=send, pubs=typed, rate=10))
    scheduler.add(Node(name="receiver", tick=receive, subs=typed, pubs="seen", rate=10))
    scheduler.run(duration=0.2)
    files = scheduler.stop_recording()

    nested = [fingerprint({"nested": [each, {"again": each}]}) for each in ARRAYS]
    expected = [
        [fingerprint(value) for value in PLAIN],
        [text for each, wrapped in zip(ARRAYS, nested, strict=True) for text in (fingerprint(each), wrapped)],
        ["CmdVel", 1.5, "-0.0", "Pose", 0.5, "ü"],
        [fingerprint(np.arange(9.0)), "float 3.0"],
    ]
    assert [value for _, value in values(files, "receiver")] == expected * 2

    replay = Scheduler.replay_from(files[0], execution=execution, recording="again").set_replay_speed(0)
    replay.add(Node(name="receiver", tick=receive, subs=typed, pubs="seen", rate=10))
    replay.run()
    assert [value for _, value in values(replay.stop_recording(), "receiver")] == expected * 2


def test_payloads_from_nothing_to_64_MB_pass_between_processes_and_into_the_recording() -> None:
    sizes = [0, 1, 6_000_000, 0, 64 << 20, 5, (64 << 20) + 7, 6_000_000]

    def content(tick: int, size: int) -> bytes:
        return (
            (tick.to_bytes(1, "big") * size)
            if size < 100
            else np.arange(size // 8 + 1, dtype=np.uint64).tobytes()[:size]
        )

    def send(node: Node) -> None:
        if horus.tick() < len(sizes):
            node.send("blob", content(horus.tick(), sizes[horus.tick()]))

    def receive(node: Node) -> None:
        for blob in node.recv_all("blob"):
            node.send("seen", [len(blob), hashlib.sha256(blob).hexdigest()])

    scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="sender", tick=send, pubs="blob", rate=10))
    scheduler.add(Node(name="receiver", tick=receive, subs="blob", pubs="seen", rate=10))
    scheduler.run(duration=1.0)
    files = scheduler.stop_recording()
    expected = [[size, hashlib.sha256(content(tick, size)).hexdigest()] for tick, size in enumerate(sizes)]
    assert values(files, "receiver") == list(enumerate(expected))
    recorded = [[len(row.payload), hashlib.sha256(row.payload).hexdigest()] for row in sent(files, "sender")]
    assert recorded == expected


def test_ten_thousand_messages_of_one_tick_all_arrive_and_are_all_recorded() -> None:
    def send(node: Node) -> None:
        for number in range(10_000):
            node.send("t", [horus.tick(), number])

    def receive(node: Node) -> None:
        found = node.recv_all("t")
        node.send("seen", [len(found), found == [[horus.tick(), number] for number in range(10_000)]])

    scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="sender", tick=send, pubs=Pub("t", capacity=10_000), rate=10))
    scheduler.add(Node(name="receiver", tick=receive, subs=Sub("t", capacity=10_000), pubs="seen", rate=10))
    scheduler.run(duration=0.5)
    files = scheduler.stop_recording()
    assert values(files, "receiver") == [(tick, [10_000, True]) for tick in range(5)]
    assert [value for _, value in values(files, "sender")] == [
        [tick, number] for tick in range(5) for number in range(10_000)
    ]
    assert [row.dropped for row in ran(files, "receiver")] == [0] * 5
    assert [row.received for row in ran(files, "receiver")] == [
        ((0, k * 10_000, (k + 1) * 10_000, (k + 1) * 10_000),) for k in range(5)
    ]


def test_a_full_lane_drops_the_oldest_by_count_the_same_in_every_run() -> None:
    def send(node: Node) -> None:
        for number in range(horus.tick() * 3):
            node.send("t", [horus.tick(), number])

    for execution in ("process", "inline"):
        scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording=True, execution=execution)
        scheduler.add(Node(name="sender", tick=send, pubs=Pub("t", capacity=7), rate=10))
        scheduler.add(
            Node(
                name="receiver",
                tick=lambda node: node.send("seen", node.recv_all("t")),
                subs=Sub("t", capacity=7),
                pubs="seen",
                rate=10,
            )
        )
        scheduler.run(duration=0.6)
        files = scheduler.stop_recording()
        expected = [[[tick, number] for number in range(tick * 3)][-7:] for tick in range(6)]
        assert [value for _, value in values(files, "receiver")] == expected
        assert [row.dropped for row in ran(files, "receiver")] == [0, 0, 0, 2, 7, 15]
        assert len(sent(files, "sender")) == sum(tick * 3 for tick in range(6)), "the recording has them all"


def test_topics_and_nodes_may_have_any_printable_name() -> None:
    names = ["größe/temperatur", "左.眼", "a b", "x" * 200, "-", ".hidden", "per%cent", "ctl", "0.0"]
    node_names = ["knoten/ä", "左", "with space", ".dot", "100%", "go0", "done", "arm@2", "Scheduler"]

    def make(name: str, topic: str) -> list[Node]:
        return [Node(name=name, tick=lambda node: node.send(topic, [topic, horus.tick()]), pubs=topic, rate=10)]

    def receive(node: Node) -> None:
        node.send("seen", [node.recv_all(topic) for topic in names])

    scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording="namen_ü", execution="inline")
    for name, topic in zip(node_names, names, strict=True):
        (node,) = make(name, topic)
        scheduler.add(node)
    scheduler.add(Node(name="ear", tick=receive, subs=names, pubs="seen", rate=10))
    scheduler.run(duration=0.2)
    files = scheduler.stop_recording()
    assert values(files, "ear") == [(tick, [[[topic, tick]] for topic in names]) for tick in range(2)]
    replay = Scheduler.replay_from(files[0], execution="inline", recording="wieder").set_replay_speed(0)
    replay.run()
    again = replay.stop_recording()
    assert values(again, "ear") == values(files, "ear")

    pair = Scheduler(tick_rate=10, deterministic=True, pace=False, recording="paar")
    pair.add(make(node_names[0], names[1])[0])
    pair.add(
        Node(
            name=node_names[1],
            tick=lambda node: node.send("größe", node.recv(names[1])),
            subs=names[1],
            pubs="größe",
            rate=10,
        )
    )
    pair.run(duration=0.1)
    assert values(pair.stop_recording(), "左") == [(0, ["左.眼", 0])]


def test_a_view_is_shared_memory_read_only_and_right_until_the_next_tick() -> None:
    def send(node: Node) -> None:
        for number in range(5):
            node.send("image", np.full((300, 200), horus.tick() * 10 + number, dtype=np.int32))

    def receive(node: Node) -> None:
        views = node.recv_all("image", copy=False)
        assert not any(view.flags.writeable or view.flags.owndata for view in views)
        node.send("seen", [[int(view.min()), int(view.max())] for view in views])

    scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="camera", tick=send, pubs="image", rate=10))
    scheduler.add(Node(name="viewer", tick=receive, subs="image", pubs="seen", rate=10))
    scheduler.run(duration=3.0)
    expected = [[[tick * 10 + number] * 2 for number in range(5)] for tick in range(30)]
    assert values(scheduler.stop_recording(), "viewer") == list(enumerate(expected))
