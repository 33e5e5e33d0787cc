"""``Scheduler`` as a script meets it: what it takes, what it says of its nodes, and what its methods return."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

import horus
from horus import InvalidValue, Node, Scheduler, UnknownNode
from tests.plain_arrow import file_of, values


def scheduler_of(*nodes: Node, **options: Any) -> Scheduler:
    scheduler = Scheduler(**{"tick_rate": 100, "execution": "inline", "deterministic": True, "pace": False, **options})
    for node in nodes:
        scheduler.add(node)
    return scheduler


def talker(name: str = "talker", **more: Any) -> Node:
    return Node(**{"name": name, "tick": lambda node: node.send("t", horus.tick()), "pubs": "t", "rate": 100, **more})


@pytest.fixture
def recorded() -> list[str]:
    scheduler = scheduler_of(talker(), recording="first")
    scheduler.run(duration=0.1)
    return scheduler.stop_recording()


def test_what_configures_returns_the_scheduler_for_chaining(recorded: list[str]) -> None:
    scheduler = scheduler_of()
    assert scheduler.add(talker()) is scheduler
    assert scheduler.set_node_rate("talker", 50) is scheduler
    assert scheduler.set_tick_budget("talker", 500) is scheduler
    replay = Scheduler(execution="inline")
    assert replay.add_replay(file_of(recorded, "talker")) is replay
    chained: list[Callable[[], Any]] = [
        lambda: replay.start_at_tick(1),
        lambda: replay.stop_at_tick(5),
        lambda: replay.set_replay_speed(0),
        lambda: replay.set_replay_override("talker", "t", 1),
        lambda: replay.set_replay_loop(False),
        lambda: replay.set_replay_schedule("free"),
        lambda: replay.pause(),
        lambda: replay.resume(),
    ]
    for call in chained:
        assert call() is replay


def test_it_knows_its_nodes() -> None:
    scheduler = scheduler_of(talker("a", order=3, priority=7), talker("b"))
    assert (scheduler.get_node_names(), scheduler.get_node_count()) == (["a", "b"], 2)
    assert (scheduler.has_node("a"), scheduler.has_node("z")) == (True, False)
    assert (scheduler.get_node_info("a"), scheduler.get_node_info("z")) == (3, None)
    stats = scheduler.get_node_stats("a")
    assert (stats["name"], stats["order"], stats["rate_hz"], stats["priority"]) == ("a", 3, 100.0, 7)
    assert (stats["total_ticks"], stats["state"]) == (0, "idle")
    assert [each["name"] for each in scheduler.get_all_nodes()] == ["a", "b"]
    assert repr(scheduler) == "Scheduler('horus', idle, nodes: a, b)"
    assert repr(scheduler_of()) == "Scheduler('horus', idle, nodes: none)"


def test_its_states_follow_one_another(recorded: list[str]) -> None:
    seen: list[tuple[str, bool, int]] = []
    scheduler = scheduler_of(recording=True, name="robot")
    scheduler.add(
        talker(tick=lambda node: seen.append((scheduler.status(), scheduler.is_running(), scheduler.current_tick())))
    )
    assert (scheduler.status(), scheduler.is_running(), scheduler.current_tick()) == ("idle", False, 0)
    assert scheduler.is_recording()
    assert not scheduler.is_replaying()
    assert scheduler.scheduler_name() == "robot"
    scheduler.tick_once()
    assert scheduler.status() == "stepping"
    scheduler.stop()
    assert seen == [("running", True, 1)]
    assert (scheduler.status(), scheduler.current_tick()) == ("stopped", 1)
    assert not scheduler_of().is_recording()
    assert Scheduler.replay_from(recorded[0], execution="inline").is_replaying()


def test_a_graph_runs_at_the_larger_of_tick_rate_and_the_fastest_node() -> None:
    for tick_rate, rate, expected in (({"tick_rate": 100}, 50, 100), ({"tick_rate": 10}, 200, 200), ({}, 20, 1000)):
        scheduler = Scheduler(execution="inline", deterministic=True, pace=False, **tick_rate).add(talker(rate=rate))
        scheduler.run(duration=0.1)
        assert scheduler.current_tick() == expected / 10


def test_a_rate_that_was_set_holds() -> None:
    ticks: list[int] = []
    scheduler = scheduler_of(Node(name="n", tick=lambda: ticks.append(horus.tick()), rate=100)).set_node_rate("n", 25)
    scheduler.run(duration=0.12)
    assert ticks == [0, 4, 8]
    assert scheduler.get_node_stats("n")["rate_hz"] == 25.0


def test_a_replayed_nodes_rate_stays(recorded: list[str]) -> None:
    with pytest.raises(InvalidValue, match="'talker' is replayed"):
        Scheduler.replay_from(recorded[0], execution="inline").set_node_rate("talker", 5)


def test_it_sums_up_how_safe_a_run_was() -> None:
    def fails() -> None:
        if horus.tick() == 3:
            raise RuntimeError

    scheduler = scheduler_of(talker(), Node(name="bad", tick=fails, rate=100, on_error=lambda problem: None))
    scheduler.run(duration=0.1)
    stats = scheduler.safety_stats()
    assert (stats["errors_count"], stats["deadline_misses"], stats["restarts"], stats["state"]) == (1, 0, 0, "stopped")
    assert stats["health"] == {"talker": "ok", "bad": "degraded"}


def test_it_tells_what_the_machine_grants() -> None:
    found = scheduler_of().capabilities()
    assert found["cores"] == os.cpu_count()
    assert found["usable_cores"] == sorted(os.sched_getaffinity(0))
    room = os.statvfs("/dev/shm")
    assert found["shared_memory_bytes"] == room.f_blocks * room.f_frsize
    assert 0 <= found["realtime_priority"] <= 99
    json.dumps(found)
    assert scheduler_of().has_full_rt() is bool(found["realtime_priority"] and found["memory_lock"])
    assert scheduler_of().degradations() == []


def test_run_makes_a_scheduler_of_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    horus.run(
        Node(name="n", tick=lambda: ticks.append(horus.tick()), rate=10),
        Node(name="other", tick=lambda: None, rate=40),
        duration=0.5,
        tick_rate=20,
        deterministic=True,
        pace=False,
        execution="inline",
        recording="by_run",
    )
    assert ticks == [0, 4, 8, 12, 16]


def test_only_keywords_are_taken() -> None:
    with pytest.raises(TypeError):
        Scheduler(100)  # type: ignore[misc]


def test_recordings_are_listed_by_name(recorded: list[str]) -> None:
    scheduler = scheduler_of(talker(), recording="second")
    scheduler.run(duration=0.05)
    assert scheduler.list_recordings() == ["first", "second"]
    files = scheduler.stop_recording()
    assert "scheduler@" in files[0]
    assert all(os.path.isabs(path) and os.path.exists(path) for path in files)
    assert values(files, "talker") == [(tick, tick) for tick in range(5)]


@pytest.mark.parametrize("wanted", [True, "named"])
def test_the_environment_may_ask_for_a_recording(monkeypatch: pytest.MonkeyPatch, wanted: bool | str) -> None:
    if isinstance(wanted, str):
        monkeypatch.setenv("HORUS_RECORD", wanted)
    scheduler = scheduler_of(talker(), recording=wanted is True)
    scheduler.run(duration=0.02)
    assert len(values(scheduler.stop_recording(), "talker")) == 2


def test_paused_it_holds_and_steps_as_told() -> None:
    ticks: list[int] = []
    scheduler = scheduler_of(Node(name="n", tick=lambda: ticks.append(horus.tick()), rate=100))

    def watch() -> None:
        if horus.tick() == 2:
            scheduler.pause().step(3)
            assert scheduler.paused
        if horus.tick() == 5:
            scheduler.resume()

    scheduler.add(Node(name="watch", tick=watch, rate=100))
    scheduler.run(duration=0.1)
    assert ticks == list(range(10))


def test_unknown_nodes_are_named_with_the_closest() -> None:
    scheduler = scheduler_of(talker("sensor"))
    for call in (
        scheduler.get_node_stats,
        lambda name: scheduler.set_node_rate(name, 1),
        lambda name: scheduler.set_tick_budget(name, 1),
    ):
        with pytest.raises(UnknownNode, match=r"'sensr'.*did you mean 'sensor'"):
            call("sensr")
