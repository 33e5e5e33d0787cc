"""Replays, inline: byte for byte in the same ticks, whatever the range, the overrides or the live nodes beside it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import horus
from horus import InvalidValue, Node, NotARecording, RecordingMissing, ReplayRange, Scheduler, UnknownNode, UnknownTopic
from tests.plain_arrow import Sent, events, file_of, header, ran, sent, values
from tests.recordings import Recording, Tick

TICKS = 50


def scheduler_of(*nodes: Node, **options: Any) -> Scheduler:
    scheduler = Scheduler(**{"tick_rate": 100, "execution": "inline", "deterministic": True, "pace": False, **options})
    for node in nodes:
        scheduler.add(node)
    return scheduler


def sensor() -> Node:
    """Sends a wave, twice in every fifth tick, and on another topic every third tick an array and raw bytes."""

    def tick(node: Node) -> None:
        k = horus.tick()
        for _ in range(2 if k % 5 == 0 else 1):
            node.send("wave", {"value": math.sin(k / 7), "noise": horus.rng_float()})
        if k % 3 == 0:
            node.send("raw", b"" if k % 2 else k.to_bytes(4, "big"))
            node.send("raw", np.arange(k * 100))

    return Node(name="sensor", tick=tick, pubs=["wave", "raw"], rate=100)


def controller(name: str = "controller", gain: float = 0.5) -> Node:
    """Integrates; depends on its state, its clock and its own generator."""

    def init(node: Node) -> None:
        node.state = {"integral": 0.0}

    def tick(node: Node) -> None:
        for reading in node.recv_all("wave"):
            node.state["integral"] += reading["value"] * horus.dt()
        node.send("cmd", [gain * node.state["integral"], horus.now(), horus.tick(), horus.elapsed(), horus.rng_float()])

    return Node(name=name, tick=tick, init=init, subs="wave", pubs="cmd", rate=50)


@pytest.fixture
def recorded() -> list[str]:
    scheduler = scheduler_of(sensor(), controller(), recording="first", seed=11)
    scheduler.run(duration=TICKS / 100)
    return scheduler.stop_recording()


def replayed(
    recorded: Sequence[str], change: Callable[[Scheduler], Any] = lambda scheduler: None, name: str = "again"
) -> list[str]:
    """The files of a recorded replay."""
    scheduler = Scheduler.replay_from(recorded[0], execution="inline", recording=name)
    scheduler.set_replay_speed(0)
    change(scheduler)
    scheduler.run()
    return scheduler.stop_recording()


def content(files: Sequence[str], node: str) -> list[tuple[int, int, str, int, bytes]]:
    return [(row.tick, row.visible, row.topic, row.encoding, row.payload) for row in sent(files, node)]


# All of it.


def test_a_replay_publishes_in_each_tick_what_was_recorded_in_it_byte_for_byte(recorded: list[str]) -> None:
    again = replayed(recorded)
    for node in ("sensor", "controller"):
        assert content(again, node) == content(recorded, node)
        assert content(recorded, node)
    assert header(again[0])["replay_of"] == "first"
    third = replayed(again, name="third")
    for node in ("sensor", "controller"):
        assert content(third, node) == content(recorded, node), "a replay of the replay"


def test_a_replay_ends_with_the_recording(recorded: list[str]) -> None:
    scheduler = Scheduler.replay_from(recorded[0], execution="inline").set_replay_speed(0)
    scheduler.run()
    assert scheduler.current_tick() == TICKS
    assert scheduler.is_replaying()
    assert sorted(scheduler.get_node_names()) == ["controller", "sensor"]


def test_the_folder_will_do_as_well_as_the_file(recorded: list[str]) -> None:
    heard = heard_in(Scheduler.replay_from(Path(recorded[0]).parent, execution="inline"))
    assert len(heard) == TICKS


def heard_in(scheduler: Scheduler, topic: str = "wave") -> dict[int, list[Any]]:
    """What a live node receives in each tick of a replay."""
    heard: dict[int, list[Any]] = {}
    scheduler.add(
        Node(name="ear", tick=lambda node: heard.update({horus.tick(): node.recv_all(topic)}), subs=topic, rate=100)
    )
    scheduler.set_replay_speed(0)
    scheduler.run()
    return heard


def test_a_live_node_hears_in_each_tick_what_was_sent_in_it(recorded: list[str]) -> None:
    expected: dict[int, list[Any]] = {tick: [] for tick in range(TICKS)}
    for tick, value in values(recorded, "sensor", "wave"):
        expected[tick].append(value)
    assert heard_in(Scheduler.replay_from(recorded[0], execution="inline")) == expected


# A part of it.


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (20, 40), (7, 7), (49, 49), (13, None), (None, 12), (3, 1000)])
def test_time_travel_replays_both_ends_and_nothing_else(
    recorded: list[str], start: int | None, stop: int | None
) -> None:
    def change(scheduler: Scheduler) -> None:
        if start is not None:
            assert scheduler.start_at_tick(start) is scheduler
        if stop is not None:
            assert scheduler.stop_at_tick(stop) is scheduler

    again = replayed(recorded, change)
    first, last = start or 0, TICKS - 1 if stop is None else min(stop, TICKS - 1)
    for node in ("sensor", "controller"):
        assert content(again, node) == [row for row in content(recorded, node) if first <= row[0] <= last]
    ticks = [row.tick for row in ran(again, "sensor")]
    assert ticks == list(range(first, last + 1))


def test_a_live_node_sees_the_recordings_time_wherever_it_starts(recorded: list[str]) -> None:
    seen: list[tuple[Any, ...]] = []
    epoch = header(recorded[0])["graph"]["epoch_ns"]
    scheduler = (
        Scheduler.replay_from(recorded[0], execution="inline")
        .start_at_tick(20, cold=True)
        .stop_at_tick(30)
        .set_replay_speed(0)
    )
    scheduler.add(
        Node(
            name="probe",
            rate=50,
            tick=lambda: seen.append((horus.tick(), horus.timestamp_ns(), horus.elapsed(), horus.dt())),
        )
    )
    scheduler.run()
    assert seen == [(k, epoch + k * 10_000_000, k / 100, 0.02) for k in range(20, 31, 2)]


def test_a_live_slow_node_still_gets_what_came_before_the_first_tick(recorded: list[str]) -> None:
    """At 10 Hz it runs in ticks 20 and 30; in 20 it would have had all since 11."""
    heard: dict[int, int] = {}
    scheduler = Scheduler.replay_from(recorded[0], execution="inline").start_at_tick(15, cold=True).set_replay_speed(0)
    scheduler.add(
        Node(
            name="slow",
            tick=lambda node: heard.update({horus.tick(): len(node.recv_all("wave"))}),
            subs="wave",
            rate=10,
        )
    )
    scheduler.run()
    sent_in = [tick for tick, _ in values(recorded, "sensor", "wave")]
    assert heard == {k: len([tick for tick in sent_in if k - 10 < tick <= k]) for k in (20, 30, 40)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.start_at_tick(50), ["start_at_tick(50)", "ticks 0 to 49"]),
        (lambda s: s.start_at_tick(10).stop_at_tick(9), ["start_at_tick(10) is after stop_at_tick(9)"]),
        (lambda s: s.stop_at_tick(9).start_at_tick(10), ["start_at_tick(10) is after stop_at_tick(9)"]),
    ],
)
def test_a_range_that_the_recording_has_not_is_refused_at_once(
    recorded: list[str], change: Callable[[Scheduler], Any], words: list[str]
) -> None:
    with pytest.raises(ReplayRange) as caught:
        change(Scheduler.replay_from(recorded[0], execution="inline"))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("tick", [-1, 1.5, "3", None, True])
def test_a_tick_that_is_no_whole_number_is_refused(recorded: list[str], tick: Any) -> None:
    for method in ("start_at_tick", "stop_at_tick"):
        with pytest.raises(InvalidValue, match=method):
            getattr(Scheduler.replay_from(recorded[0], execution="inline"), method)(tick)


@pytest.mark.parametrize("speed", [-1, 0.009, 100.1, math.nan, math.inf, "1", None, True])
def test_a_speed_out_of_range_is_refused(recorded: list[str], speed: Any) -> None:
    with pytest.raises(InvalidValue, match=r"0\.01 to 100, or 0"):
        Scheduler.replay_from(recorded[0], execution="inline").set_replay_speed(speed)


# Mixed.


@pytest.mark.parametrize("way", ["add_replay", "replay_from"])
def test_the_unchanged_controller_gives_the_same_bits_20_times_of_20(recorded: list[str], way: str) -> None:
    for attempt in range(20):
        if way == "add_replay":
            scheduler = Scheduler(tick_rate=100, execution="inline", recording=f"mixed{attempt}", seed=attempt)
            scheduler.add_replay(file_of(recorded, "sensor"), priority=0)
        else:
            scheduler = Scheduler.replay_from(recorded[0], execution="inline", recording=f"mixed{attempt}")
        scheduler.add(controller()).set_replay_speed(0)
        scheduler.run()
        again = scheduler.stop_recording()
        assert content(again, "controller") == content(recorded, "controller")
        assert content(again, "sensor") == content(recorded, "sensor")


def test_a_changed_controller_gives_its_own(recorded: list[str]) -> None:
    again = replayed(recorded, lambda scheduler: scheduler.add(controller(gain=1.0)))
    before, after = values(recorded, "controller"), values(again, "controller")
    assert [(tick, value[0] * 2) for tick, value in before] == [(tick, value[0]) for tick, value in after]


def test_a_mixed_replay_ends_with_its_duration_or_with_the_recording(recorded: list[str]) -> None:
    for duration, ticks in ((0.2, 20), (9.0, TICKS), (None, TICKS)):
        scheduler = Scheduler(execution="inline").add_replay(file_of(recorded, "sensor")).set_replay_speed(0)
        scheduler.run(duration=duration)
        assert scheduler.current_tick() == ticks


def test_another_tick_rate_than_the_recordings_is_ignored_with_a_warning(
    recorded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler(tick_rate=500, execution="inline").add_replay(file_of(recorded, "sensor")).set_replay_speed(0)
    assert "tick_rate=500 is ignored" in caplog.text
    scheduler.run()
    assert scheduler.current_tick() == TICKS


def test_a_live_node_faster_than_the_recordings_ticks_is_refused(recorded: list[str]) -> None:
    scheduler = Scheduler.replay_from(recorded[0], execution="inline").add(
        Node(name="fast", tick=lambda: None, rate=1000)
    )
    with pytest.raises(InvalidValue, match=r"'fast'.*at most 100 Hz"):
        scheduler.run()


# What was missed then is missed again.


def crafted(folder: Path, ran_in: Sequence[int], last_tick: int = 19) -> Path:
    """A session in which `ctrl` ran only in some ticks, and `src` sent the tick's number in all."""
    rows = [
        Tick(tick, name) for tick in range(last_tick + 1) for name in ("src", "ctrl") if name == "src" or tick in ran_in
    ]
    recording = Recording({"src": ["n"], "ctrl": []}, ticks=rows, last_tick=last_tick)
    recording.add("src", "n", range(last_tick + 1)).write(folder)
    return folder


@pytest.mark.parametrize(
    "ran_in",
    [[*range(20)], [0, 1, 2, 6, 7, 11, *range(13, 20)], [*range(3, 20)], [*range(15)], [0, 19], [5]],
    ids=["all", "gaps", "late start", "early end", "ends", "one"],
)
def test_a_live_node_runs_in_the_ticks_in_which_it_ran_then(tmp_path: Path, ran_in: list[int]) -> None:
    for free in (False, True):
        ticks: list[int] = []
        scheduler = Scheduler.replay_from(crafted(tmp_path / f"s{free}", ran_in), execution="inline").set_replay_speed(
            0
        )
        if free:
            scheduler.set_replay_schedule("free")
        scheduler.add(Node(name="ctrl", tick=lambda node, ticks=ticks: ticks.append(horus.tick()), rate=100, subs="n"))
        scheduler.run()
        assert ticks == (list(range(20)) if free else ran_in)


def test_what_a_missed_tick_left_unread_is_there_in_the_next_one_that_runs(tmp_path: Path) -> None:
    heard: dict[int, list[int]] = {}
    scheduler = Scheduler.replay_from(crafted(tmp_path / "s", [0, 1, 5, 6]), execution="inline").set_replay_speed(0)
    scheduler.add(
        Node(name="ctrl", tick=lambda node: heard.update({horus.tick(): node.recv_all("n")}), rate=100, subs="n")
    )
    scheduler.run()
    assert {tick: heard[tick] for tick in (0, 1, 5, 6)} == {0: [0], 1: [1], 5: [2, 3, 4, 5], 6: [6]}


def test_a_schedule_of_another_name_is_refused(recorded: list[str]) -> None:
    with pytest.raises(InvalidValue, match="'recorded' or 'free'"):
        Scheduler.replay_from(recorded[0], execution="inline").set_replay_schedule("mine")


# Overrides.


def overridden(recorded: list[str], value: Any, topic: str = "wave") -> list[Sent]:
    again = replayed(recorded, lambda scheduler: scheduler.set_replay_override("sensor", topic, value))
    other = [row for row in content(again, "sensor") if row[2] != topic]
    assert other == [row for row in content(recorded, "sensor") if row[2] != topic], "the other topic stays as it was"
    return [row for row in sent(again, "sensor") if row.topic == topic]


def test_bytes_are_delivered_as_those_bytes(recorded: list[str]) -> None:
    found = overridden(recorded, b"\x00\x00\xc6B\x00\x00\x00\x00")
    assert [row.tick for row in found] == [row.tick for row in sent(recorded, "sensor") if row.topic == "wave"]
    assert {(row.encoding, row.payload) for row in found} == {(1, b"\x00\x00\xc6B\x00\x00\x00\x00")}


def test_any_other_value_is_sent_as_the_topics_values_are(recorded: list[str]) -> None:
    found = overridden(recorded, {"value": 9.0})
    assert {msgspec.msgpack.decode(row.payload)["value"] for row in found} == {9.0}


def test_a_callable_gets_the_recorded_value_and_returns_the_new_one(recorded: list[str]) -> None:
    found = overridden(recorded, lambda value: {**value, "value": -value["value"]})
    before = [value for _, value in values(recorded, "sensor", "wave")]
    assert [msgspec.msgpack.decode(row.payload) for row in found] == [
        {**each, "value": -each["value"]} for each in before
    ]


def test_a_live_node_hears_the_override(recorded: list[str]) -> None:
    scheduler = Scheduler.replay_from(recorded[0], execution="inline").set_replay_override("sensor", "wave", b"!")
    assert {bytes(value) for heard in heard_in(scheduler).values() for value in heard} == {b"!"}


def test_an_override_of_an_unknown_node_or_topic_names_what_there_is(recorded: list[str]) -> None:
    scheduler = Scheduler.replay_from(recorded[0], execution="inline")
    with pytest.raises(UnknownNode, match=r"'sensr'.*'sensor', 'controller'.*did you mean 'sensor'"):
        scheduler.set_replay_override("sensr", "wave", 1)
    with pytest.raises(UnknownTopic, match=r"'waves'.*did you mean 'wave'"):
        scheduler.set_replay_override("sensor", "waves", 1)
    with pytest.raises(UnknownNode):
        scheduler_of(sensor()).set_replay_override("sensor", "wave", 1)


# Loops.


def test_a_loop_starts_over_with_the_time_going_on(recorded: list[str]) -> None:
    heard: list[tuple[int, list[Any]]] = []
    scheduler = (
        Scheduler.replay_from(recorded[0], execution="inline")
        .start_at_tick(10, cold=True)
        .stop_at_tick(14)
        .set_replay_speed(0)
    )
    scheduler.set_replay_loop()
    scheduler.add(
        Node(name="ear", tick=lambda node: heard.append((horus.tick(), node.recv_all("wave"))), subs="wave", rate=100)
    )
    scheduler.run(duration=0.18)
    expected: dict[int, list[Any]] = {tick: [] for tick in range(10, 15)}
    for tick, value in values(recorded, "sensor", "wave"):
        if tick in expected:
            expected[tick].append(value)
    assert heard == [(tick, expected[10 + (tick - 10) % 5]) for tick in range(10, 28)]


# Nodes from other recordings.


def test_nodes_of_two_sessions_go_into_one_graph(recorded: list[str]) -> None:
    other = scheduler_of(
        Node(name="extra", tick=lambda node: node.send("x", horus.tick() * 2), pubs="x", rate=100), recording="other"
    )
    other.run(duration=0.3)
    scheduler = Scheduler(execution="inline").add_replay(file_of(recorded, "sensor"))
    scheduler.add_replay(file_of(other.stop_recording(), "extra")).set_replay_speed(0)
    heard = heard_in(scheduler, "x")
    assert {tick: value for tick, value in heard.items() if value} == {tick: [tick * 2] for tick in range(30)}


def test_a_session_of_another_tick_rate_does_not_go_with_it(recorded: list[str]) -> None:
    other = scheduler_of(Node(name="extra", tick=lambda: None, rate=30), recording="other", tick_rate=30)
    other.run(duration=0.3)
    scheduler = Scheduler(execution="inline").add_replay(file_of(recorded, "sensor"))
    with pytest.raises(InvalidValue, match=r"'other'.*30 Hz.*100 Hz"):
        scheduler.add_replay(file_of(other.stop_recording(), "extra"))


def test_a_node_is_replayed_once(recorded: list[str]) -> None:
    scheduler = Scheduler(execution="inline").add_replay(file_of(recorded, "sensor"))
    with pytest.raises(horus.DuplicateNode):
        scheduler.add_replay(file_of(recorded, "sensor"))


# Files that are none of it.


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda tmp, files: tmp / "nothing.arrow", RecordingMissing, ["nothing.arrow"]),
        (lambda tmp, files: file_of(files, "sensor"), NotARecording, ["the file of node 'sensor'", "scheduler@"]),
        (lambda tmp, files: file_of(files, "events"), NotARecording, ["events", "scheduler@"]),
        (lambda tmp, files: tmp, RecordingMissing, ["no scheduler@"]),
    ],
)
def test_what_replay_from_cannot_replay_is_named(
    recorded: list[str], tmp_path: Path, make: Callable[[Path, list[str]], Any], kind: type[Exception], words: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        Scheduler.replay_from(make(tmp_path, recorded))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_add_replay_wants_a_nodes_file(recorded: list[str]) -> None:
    for stem in ("scheduler", "events"):
        with pytest.raises(NotARecording, match="replay_from"):
            Scheduler(execution="inline").add_replay(file_of(recorded, stem))


def test_a_node_whose_file_is_gone_can_still_be_run_live(recorded: list[str]) -> None:
    Path(file_of(recorded, "controller")).unlink()
    with pytest.raises(RecordingMissing, match="'controller'"):
        Scheduler.replay_from(recorded[0], execution="inline").run()
    again = replayed(recorded, lambda scheduler: scheduler.add(controller()))
    assert content(again, "sensor") == content(recorded, "sensor")


def test_a_failed_run_replays_up_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    def tick(node: Node) -> None:
        node.send("t", horus.tick())
        if horus.tick() == 7:
            raise RuntimeError

    scheduler = scheduler_of(Node(name="bad", tick=tick, pubs="t", rate=100), recording="failed")
    with pytest.raises(horus.NodeFailed):
        scheduler.run(duration=1)
    files = scheduler.stop_recording()
    with caplog.at_level(logging.WARNING):
        again = replayed(files)
    assert values(again, "bad") == [(tick, tick) for tick in range(8)]
    assert [event.event for event in events(files) if event.node == "bad"] == ["error"]
