"""One node's part in a tick: what it may receive and in which order, what others see of it, and what is written down."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import horus
from horus import Node, NodeFailed, Scheduler, UnknownTopic, UnsendableValue
from horus_core.engine.commits import Commits
from horus_core.engine.run_options import RunOptions
from horus_core.engine.runner import NodeRunner
from horus_core.graph.spec import build_graph
from horus_core.memory.control import BUCKETS, H_EXTERNAL, Layout, create_control
from horus_core.memory.lane import LaneWriter
from horus_core.memory.shared import LocalMemory
from horus_core.memory.tick_rows import bucket_of, bucket_start
from horus_core.messages.encoding import MSGPACK
from tests.plain_arrow import ran, sent


def inline_scheduler(*nodes: Node, **options: Any) -> Scheduler:
    scheduler = Scheduler(**{"tick_rate": 100, "execution": "inline", "deterministic": True, "pace": False, **options})
    for node in nodes:
        scheduler.add(node)
    return scheduler


def talker(name: str, count: Callable[[int], int] = lambda tick: 1, topic: str = "t", **more: Any) -> Node:
    """Sends [name, tick, number] `count(tick)` times in each tick."""

    def tick(node: Node) -> None:
        for number in range(count(horus.tick())):
            node.send(topic, [name, horus.tick(), number])

    return Node(**{"name": name, "tick": tick, "pubs": topic, "rate": 100, **more})


def listener(read: Callable[[Node], Any], **more: Any) -> tuple[Node, list[tuple[int, Any]]]:
    heard: list[tuple[int, Any]] = []
    node = Node(
        **{
            "name": "ear",
            "tick": lambda node: heard.append((horus.tick(), read(node))),
            "subs": "t",
            "rate": 100,
            **more,
        }
    )
    return node, heard


# Receiving.


def test_messages_of_several_publishers_come_by_tick_then_by_place_in_the_graph_then_as_sent() -> None:
    ear, heard = listener(lambda node: node.recv_all("t"), rate=50)
    inline_scheduler(talker("one", lambda tick: 2), talker("two"), ear, talker("late", order=5)).run(duration=0.04)
    in_order = [
        ("one", 1, 0),
        ("one", 1, 1),
        ("two", 1, 0),
        ("late", 1, 0),
        ("one", 2, 0),
        ("one", 2, 1),
        ("two", 2, 0),
    ]
    assert heard == [
        (0, [["one", 0, 0], ["one", 0, 1], ["two", 0, 0]]),
        (2, [["late", 0, 0]] + [[*each] for each in in_order]),
    ]


def test_recv_takes_the_oldest_one_at_a_time_and_leaves_the_rest() -> None:
    ear, heard = listener(lambda node: node.recv("t"))
    inline_scheduler(talker("one", lambda tick: 2 if tick < 3 else 0), ear).run(duration=0.08)
    assert [value for _, value in heard] == [["one", k // 2, k % 2] for k in range(6)] + [None, None]


def test_latest_takes_the_newest_of_all_publishers_and_drops_the_rest() -> None:
    ear, heard = listener(lambda node: [node.latest("t"), node.has_msg("t"), node.latest("t"), node.recv("t")])
    inline_scheduler(talker("one", lambda tick: 3 * (tick != 2)), talker("two", lambda tick: tick % 2), ear).run(
        duration=0.04
    )
    newest = [["one", 0, 2], ["two", 1, 0], None, ["two", 3, 0]]
    assert [value for _, value in heard] == [[value, False, None, None] for value in newest]


def test_has_msg_is_true_as_long_as_something_is_unread() -> None:
    def read(node: Node) -> list[Any]:
        return [node.has_msg("t"), node.recv("t")[2], node.has_msg("t"), node.recv("t")[2], node.has_msg("t")]

    ear, heard = listener(read)
    inline_scheduler(talker("one", lambda tick: 2), ear).run(duration=0.02)
    assert [value for _, value in heard] == [[True, 0, True, 1, False]] * 2


def test_a_false_value_is_told_from_no_message_by_has_msg() -> None:
    ear, heard = listener(lambda node: [(node.has_msg("t"), node.recv("t")) for _ in range(4)])
    inline_scheduler(
        Node(name="w", tick=lambda node: [node.send("t", each) for each in (None, 0, "")], pubs="t", rate=100), ear
    ).run(duration=0.01)
    assert heard[0][1] == [(True, None), (True, 0), (True, ""), (False, None)]


def test_nothing_appears_in_mid_tick() -> None:
    """A node that hears itself hears in the next tick, also what it sent before it looked."""

    def tick(node: Node) -> None:
        node.send("t", horus.tick())
        heard.append(node.recv_all("t"))

    heard: list[Any] = []
    inline_scheduler(Node(name="loop", tick=tick, pubs="t", subs="t", rate=100)).run(duration=0.04)
    assert heard == [[], [0], [1], [2]]


def test_what_is_beyond_the_capacity_is_dropped_oldest_first_and_counted() -> None:
    ear, heard = listener(lambda node: [each[2] for each in node.recv_all("t")], subs={"t": {"capacity": 3}})
    scheduler = inline_scheduler(
        talker("one", lambda tick: 7 * (tick == 1) + 1, default_capacity=3), ear, recording="r"
    )
    scheduler.run(duration=0.03)
    assert [value for _, value in heard] == [[0], [5, 6, 7], [0]]
    assert scheduler.get_node_stats("ear")["messages_dropped"] == 5
    assert [row.dropped for row in ran(scheduler.stop_recording(), "ear")] == [0, 5, 5]


def test_reading_without_a_copy_gives_a_view_that_cannot_be_written() -> None:
    import numpy as np

    def read(node: Node) -> tuple[bool, bool, int]:
        one, other = node.recv("t", copy=False), node.recv("t")
        return one.flags.writeable, other.flags.writeable, int(one.sum() + other.sum())

    ear, heard = listener(read)

    def tick(node: Node) -> None:
        for each in (1, 2):
            node.send("t", np.full(1000, each))

    inline_scheduler(Node(name="w", tick=tick, pubs="t", rate=100), ear).run(duration=0.02)
    assert [value for _, value in heard] == [(False, True, 3000)] * 2


# Sending.


def test_a_value_that_is_changed_after_it_was_sent_arrives_as_it_was_sent() -> None:
    def tick(node: Node) -> None:
        value = {"n": [1]}
        node.send("t", value)
        value["n"].append(2)
        node.send("t", value)

    ear, heard = listener(lambda node: node.recv_all("t"))
    inline_scheduler(Node(name="w", tick=tick, pubs="t", rate=100), ear).run(duration=0.01)
    assert heard == [(0, [{"n": [1]}, {"n": [1, 2]}])]


def test_what_init_sends_is_there_in_the_first_tick() -> None:
    ear, heard = listener(lambda node: node.recv_all("t"))
    before, heard_before = listener(lambda node: node.recv_all("t"), name="before", order=-1)
    writer = Node(name="w", tick=lambda: None, init=lambda node: node.send("t", "hello"), pubs="t", rate=100)
    scheduler = inline_scheduler(writer, ear, before, recording="r")
    scheduler.run(duration=0.03)
    assert heard == [(0, ["hello"]), (1, []), (2, [])]
    assert heard_before == [(0, []), (1, ["hello"]), (2, [])]
    assert [(message.tick, message.visible) for message in sent(scheduler.stop_recording(), "w")] == [(0, 0)]


def test_what_a_failing_tick_had_sent_counts() -> None:
    def tick(node: Node) -> None:
        node.send("t", "before")
        raise RuntimeError

    ear, heard = listener(lambda node: node.recv_all("t"))
    inline_scheduler(Node(name="w", tick=tick, pubs="t", rate=100, on_error=lambda problem: None), ear).run(
        duration=0.01
    )
    assert heard == [(0, ["before"])]


def test_on_error_may_send_too() -> None:
    def tick(node: Node) -> None:
        raise RuntimeError("stuck")

    ear, heard = listener(lambda node: node.recv_all("t"))
    writer = Node(name="w", tick=tick, pubs="t", rate=100, on_error=lambda node, problem: node.send("t", str(problem)))
    inline_scheduler(writer, ear).run(duration=0.01)
    assert heard == [(0, ["stuck"])]


@pytest.mark.parametrize(
    ("use", "kind", "words"),
    [
        (
            lambda node: node.send("cmd.vell", 1),
            UnknownTopic,
            ["'arm'", "'cmd.vell'", "did you mean 'cmd.vel'?", "pubs="],
        ),
        (lambda node: node.send("scan", 1), UnknownTopic, ["'arm'", "'scan'", "does not publish", "'cmd.vel'"]),
        (lambda node: node.recv("scam"), UnknownTopic, ["'arm'", "'scam'", "did you mean 'scan'?", "subs="]),
        (lambda node: node.recv_all("cmd.vel"), UnknownTopic, ["'arm'", "does not subscribe", "'scan'"]),
        (lambda node: node.latest("x"), UnknownTopic, ["'x'"]),
        (lambda node: node.has_msg("x"), UnknownTopic, ["'x'"]),
        (lambda node: node.send("cmd.vel", object()), UnsendableValue, ["'arm'", "'cmd.vel'", "object"]),
    ],
)
def test_a_wrong_topic_or_value_is_named_with_the_closest(
    use: Callable[[Node], Any], kind: type[Exception], words: list[str]
) -> None:
    caught: list[Exception] = []

    def tick(node: Node) -> None:
        try:
            use(node)
        except Exception as problem:
            caught.append(problem)

    inline_scheduler(Node(name="arm", tick=tick, pubs="cmd.vel", subs="scan", rate=100)).run(duration=0.01)
    assert isinstance(caught[0], kind)
    assert all(word in str(caught[0]) for word in words), str(caught[0])
    assert "\n" not in str(caught[0])


def test_a_refused_value_leaves_the_topic_as_it_was() -> None:
    def tick(node: Node) -> None:
        node.send("t", 1)
        with pytest.raises(UnsendableValue):
            node.send("t", [object()])
        node.send("t", 2)

    ear, heard = listener(lambda node: node.recv_all("t"))
    inline_scheduler(Node(name="w", tick=tick, pubs="t", rate=100), ear).run(duration=0.02)
    assert heard == [(0, [1, 2]), (1, [1, 2])]


# From outside.


@pytest.mark.parametrize("sent_in", [0, 1, 2])
def test_a_message_from_outside_is_seen_whenever_it_was_sent(sent_in: int) -> None:
    """Also if it came between the release of a tick and the node's look at what there is in it."""
    heard: list[tuple[int, Any]] = []
    node = Node(name="ear", tick=lambda node: heard.append((horus.tick(), node.recv_all("t"))), subs="t", rate=10)
    graph = build_graph([node.spec], 10)
    memory, layout = LocalMemory(), Layout.of(graph)
    control = create_control(memory, layout, 0, False)
    options = RunOptions(first_tick=0, lockstep=True, seed=0, epoch_ns=0)
    runner = NodeRunner(graph, 0, node, memory, control, layout, options, None, lambda *_: None)
    outside = Commits(graph, memory, control, layout)
    runner.start(0)
    for tick in range(4):
        outside.external(tick)  # the release
        if tick == sent_in:
            LaneWriter(memory, control, layout, 0, 9, lazy=True).put(MSGPACK, b"\x07", tick + 1, tick + 1)
            control[H_EXTERNAL] += 1
        runner.run(tick)
        runner.commit()
    assert heard == [(tick, [7] if tick == sent_in + 1 else []) for tick in range(4)]


def test_a_message_from_outside_is_seen_in_its_tick_also_by_a_node_that_began_the_one_before_after_its_release() -> (
    None
):
    """In real time a node that wakes late looks at what there is in tick 1 when tick 2 has admitted more already."""
    heard: list[tuple[int, Any]] = []
    node = Node(name="ear", tick=lambda node: heard.append((horus.tick(), node.recv_all("t"))), subs="t", rate=10)
    graph = build_graph([node.spec], 10)
    memory, layout = LocalMemory(), Layout.of(graph)
    control = create_control(memory, layout, 0, False)
    options = RunOptions(first_tick=0, lockstep=True, seed=0, epoch_ns=0)
    runner = NodeRunner(graph, 0, node, memory, control, layout, options, None, lambda *_: None)
    outside = Commits(graph, memory, control, layout)
    runner.start(0)
    runner.run(0)
    LaneWriter(memory, control, layout, 0, 9, lazy=True).put(MSGPACK, b"\x07", 1, 1)
    control[H_EXTERNAL] += 1
    outside.external(2)  # the release of tick 2, of which it does not know yet
    for tick in (1, 2, 3):
        runner.run(tick)
    assert heard == [(0, []), (1, []), (2, [7]), (3, [])]


@pytest.mark.parametrize(("first_tick", "heard"), [(0, [0, 1, 2, 3]), (2, [2, 3])])
def test_what_was_sent_in_ticks_that_it_missed_is_received_though_its_first_one_is_among_them(
    first_tick: int, heard: list[int]
) -> None:
    """In real time a node may be late before it has run at all."""
    got: list[int] = []
    ear = Node(name="ear", tick=lambda node: got.extend(node.recv_all("t")), subs="t", rate=10)
    source = Node(name="source", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=10)
    graph = build_graph([source.spec, ear.spec], 10)
    memory, layout = LocalMemory(), Layout.of(graph)
    control = create_control(memory, layout, 0, False)
    options = RunOptions(first_tick=0, lockstep=False, seed=0, epoch_ns=0)
    runners = [
        NodeRunner(graph, position, node, memory, control, layout, options, None, lambda *_: None)
        for position, node in enumerate((source, ear))
    ]
    for runner in runners:
        runner.start(0)
    for tick in range(4):
        runners[0].run(tick)
        runners[0].commit()
    runners[1].first_tick = first_tick
    runners[1].run(3)
    assert got == heard


# Event-driven nodes.


def test_on_runs_only_in_ticks_in_which_the_topic_has_something_new() -> None:
    ear, heard = listener(lambda node: node.recv("t"), on="t")
    inline_scheduler(talker("w", lambda tick: {1: 2, 4: 1}.get(tick, 0)), ear).run(duration=0.08)
    assert heard == [(1, ["w", 1, 0]), (4, ["w", 1, 1])], "an unread message alone is nothing new"


def test_what_came_on_another_topic_waits_for_the_next_run() -> None:
    heard: list[tuple[int, Any, Any]] = []
    ear = Node(
        name="ear",
        tick=lambda node: heard.append((horus.tick(), node.recv("t"), node.recv_all("u"))),
        subs=["t", "u"],
        on="t",
        rate=1,
    )
    inline_scheduler(
        talker("w", lambda tick: tick in (2, 5)), talker("v", lambda tick: tick in (0, 3), topic="u"), ear
    ).run(duration=0.07)
    assert heard == [(2, ["w", 2, 0], [["v", 0, 0]]), (5, ["w", 5, 0], [["v", 3, 0]])]


# Compute nodes.


def test_a_compute_nodes_outputs_become_visible_at_its_next_release() -> None:
    ear, heard = listener(lambda node: [each[1] for each in node.recv_all("t")])
    inline_scheduler(talker("planner", rate=25, compute=True), ear).run(duration=0.12)
    assert [(tick, value) for tick, value in heard if value] == [(4, [0]), (8, [4])]


# What is written down.


def test_each_tick_leaves_a_row_with_what_the_node_took() -> None:
    ear, _ = listener(lambda node: node.recv("t"), rate=50)
    scheduler = inline_scheduler(talker("w"), ear, recording="r")
    scheduler.run(duration=0.06)
    files = scheduler.stop_recording()
    assert [(row.tick, row.status, row.visible) for row in ran(files, "w")] == [(k, "ok", k) for k in range(6)]
    # In tick 2 it could have taken messages 1 and 2, took one, and so on.
    assert [(row.tick, row.received) for row in ran(files, "ear")] == [
        (0, ((0, 0, 1, 1),)),
        (2, ((0, 1, 2, 3),)),
        (4, ((0, 2, 3, 5),)),
    ]


def test_a_failed_tick_is_marked() -> None:
    def tick(node: Node) -> None:
        if horus.tick() == 1:
            raise ValueError

    scheduler = inline_scheduler(Node(name="n", tick=tick, rate=100), recording="r")
    with pytest.raises(NodeFailed):
        scheduler.run(duration=0.05)
    assert [(row.tick, row.status) for row in ran(scheduler.stop_recording(), "n")] == [(0, "ok"), (1, "error")]


def test_counters_say_how_much_was_sent_and_received() -> None:
    ear, _ = listener(lambda node: node.recv_all("t"))
    scheduler = inline_scheduler(
        Node(name="w", tick=lambda node: [node.send("t", b"12345") for _ in range(3)], pubs="t", rate=100), ear
    )
    scheduler.run(duration=0.1)
    writer, reader = scheduler.get_node_stats("w"), scheduler.get_node_stats("ear")
    assert (writer["total_ticks"], writer["messages_sent"], writer["bytes_sent"]) == (10, 30, 150)
    assert (reader["total_ticks"], reader["messages_received"], reader["messages_dropped"]) == (10, 30, 0)
    assert 0 < writer["min_tick_duration_ms"] <= writer["avg_tick_duration_ms"] <= writer["max_tick_duration_ms"]
    assert writer["min_tick_duration_ms"] * 0.7 <= writer["p50_tick_duration_ms"] <= writer["p99_tick_duration_ms"]


def test_time_and_randomness_are_those_of_the_tick() -> None:
    def run(seed: int) -> list[tuple[float, float, int, float, list[float]]]:
        found: list[Any] = []
        inline_scheduler(
            Node(
                name="n",
                tick=lambda: found.append(
                    (horus.elapsed(), horus.dt(), horus.tick(), horus.now(), [horus.rng_float(), horus.rng_float()])
                ),
                rate=25,
            ),
            seed=seed,
        ).run(duration=0.12)
        return found

    one, other, third = run(1), run(1), run(2)
    assert [(elapsed, dt, tick) for elapsed, dt, tick, _, _ in one] == [
        (0.0, 0.04, 0),
        (0.04, 0.04, 4),
        (0.08, 0.04, 8),
    ]
    assert [now - one[0][3] for _, _, _, now, _ in one] == pytest.approx([0.0, 0.04, 0.08], abs=1e-6)
    assert [numbers for *_, numbers in one] == [numbers for *_, numbers in other] != [numbers for *_, numbers in third]


# Histograms.


@given(st.integers(0, 1 << 40))
def test_a_duration_falls_into_the_bucket_whose_bounds_hold_it(duration: int) -> None:
    bucket = bucket_of(duration)
    assert 0 <= bucket < BUCKETS
    if bucket < BUCKETS - 1:
        assert bucket_start(bucket) <= duration < bucket_start(next_used(bucket))


def next_used(bucket: int) -> int:
    return next(each for each in range(bucket + 1, BUCKETS) if bucket_of(round(bucket_start(each))) == each)


def test_buckets_rise_by_a_fifth_to_a_quarter() -> None:
    durations = sorted(random.Random(1).randint(8, 10**9) for _ in range(2000))
    buckets = [bucket_of(duration) for duration in durations]
    assert buckets == sorted(buckets)
    for bucket in set(buckets):
        assert 1.1 < bucket_start(bucket + 1) / bucket_start(bucket) <= 1.25 + 1e-9
