"""Replays, in processes and under load: what was recorded comes again, and an unchanged node gives unchanged bits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from horus import Node, Scheduler
from tests.arithmetic_nodes import Drawn, as_node
from tests.drawn_graphs import graphs
from tests.plain_arrow import events, file_of, header, ran, sent, values
from tests.replayed_nodes import Controller, LateController, Noting, controller, late_sensor, probe, sensor

TICKS = 30


@pytest.fixture
def recorded() -> list[str]:
    scheduler = Scheduler(tick_rate=100, recording="first", seed=11, deterministic=True, pace=False)
    scheduler.add(sensor()).add(controller()).run(duration=TICKS / 100)
    return scheduler.stop_recording()


@pytest.fixture
def loaded() -> Iterator[None]:
    """Somebody else wants every core."""
    busy = [subprocess.Popen([sys.executable, "-c", "import os; os.nice(5)\nwhile True: pass"]) for _ in range(2)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def content(files: Sequence[str], node: str) -> list[tuple[int, int, str, int, bytes]]:
    return [(row.tick, row.visible, row.topic, row.encoding, row.payload) for row in sent(files, node)]


def replayed(
    recorded: Sequence[str],
    name: str = "again",
    speed: float = 0,
    change: Callable[[Scheduler], Any] = lambda _: None,
    **options: Any,
) -> list[str]:
    scheduler = Scheduler.replay_from(recorded[0], recording=name, **options).set_replay_speed(speed)
    change(scheduler)
    scheduler.run()
    return scheduler.stop_recording()


@pytest.mark.parametrize("speed", [1, 0, 100])
def test_a_full_replay_publishes_in_each_tick_what_was_recorded_and_ends_by_itself(
    recorded: list[str], speed: float
) -> None:
    again = replayed(recorded, speed=speed)
    for node in ("sensor", "controller"):
        assert content(again, node) == content(recorded, node)
        assert [row.tick for row in ran(again, node)] == [row.tick for row in ran(recorded, node)]
    assert header(again[0])["replay_of"] == "first"
    assert header(again[0])["graph"]["epoch_ns"] == header(recorded[0])["graph"]["epoch_ns"]


def test_time_travel_and_overrides_and_a_live_node_in_one_replay(recorded: list[str]) -> None:
    found: dict[str, list[str]] = {}
    for name, value in (
        ("bytes", b"\x01\x02"),
        ("value", {"value": 9.0}),
        ("callable", lambda value: {"value": value["value"] + 1}),
    ):

        def change(scheduler: Scheduler, value: Any = value) -> None:
            scheduler.start_at_tick(10).stop_at_tick(19).set_replay_override("sensor", "reading", value)
            scheduler.add(Node(name="probe", tick=probe, subs=["reading", "cmd"], pubs="seen", rate=100))

        found[name] = replayed(recorded, name, change=change)
    before = dict(values(recorded, "sensor", "reading"))
    expected: dict[str, Callable[[int], Any]] = {
        "bytes": lambda tick: b"\x01\x02",
        "value": lambda tick: {"value": 9.0},
        "callable": lambda tick: {"value": before[tick]["value"] + 1},
    }
    commands = dict(values(recorded, "controller"))
    epoch = header(recorded[0])["graph"]["epoch_ns"]
    for name, files in found.items():
        images = [row for row in content(recorded, "sensor") if row[2] == "image" and row[0] <= 19]
        # Before the first tick there is only what a live node may still have to receive in it.
        found_images = [row for row in content(files, "sensor") if row[2] == "image"]
        assert images[-len(found_images) :] == found_images
        assert [row[0] for row in found_images if row[0] >= 10] == [12, 12, 16, 16]
        assert values(files, "sensor", "reading")[-10:] == [(tick, expected[name](tick)) for tick in range(10, 20)]
        assert values(files, "probe") == [
            (
                tick,
                [
                    [expected[name](tick)],
                    [commands[tick]] if tick in commands else [],
                    epoch + tick * 10_000_000,
                    tick,
                    tick / 100,
                ],
            )
            for tick in range(10, 20)
        ]


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("loaded")
def test_the_unchanged_controller_gives_the_same_bits_20_times_of_20_in_processes_under_load(
    recorded: list[str], tmp_path: Path
) -> None:
    """Half of them at speed 1, half as fast as possible; it notes what it sends, so that no recorder takes part."""
    expected = [[row.tick, row.payload.hex()] for row in sent(recorded, "controller")]
    for attempt in range(20):
        noted = tmp_path / f"{attempt}"
        inner = Controller()

        def tick(node: Node, inner: Controller = inner, noted: Path = noted) -> None:
            inner.tick(Noting(node, noted))  # type: ignore[arg-type]

        mixed = Scheduler(tick_rate=100).add_replay(file_of(recorded, "sensor"), priority=0)
        mixed.add(Node(name="controller", tick=tick, subs=["reading", "image"], pubs="cmd", rate=50))
        mixed.set_replay_speed(attempt % 2)
        mixed.run(duration=TICKS / 100)
        assert [json.loads(line) for line in noted.read_text().splitlines()] == expected, f"attempt {attempt}"


@pytest.mark.parametrize(("speed", "attempts"), [(0, 20), (1, 4)])
@pytest.mark.usefixtures("loaded")
def test_the_unchanged_controller_gives_the_same_bits_every_time_inline_under_load(
    recorded: list[str], speed: float, attempts: int
) -> None:
    for attempt in range(attempts):
        files = replayed(
            recorded, f"mixed{attempt}", speed, lambda scheduler: scheduler.add(controller()), execution="inline"
        )
        assert content(files, "controller") == content(recorded, "controller"), f"attempt {attempt}"


def test_a_loop_goes_on_until_its_duration_is_over(recorded: list[str]) -> None:
    scheduler = Scheduler.replay_from(recorded[0], recording="loop").set_replay_speed(0).set_replay_loop()
    scheduler.start_at_tick(8).stop_at_tick(11)
    scheduler.run(duration=0.14)
    rows = [row for row in sent(recorded, "sensor") if 8 <= row.tick <= 11]
    expected = [
        (row.tick + 4 * turn, row.topic, row.payload) for turn in range(4) for row in rows if row.tick + 4 * turn < 22
    ]
    again = sent(scheduler.stop_recording(), "sensor")
    assert [(row.tick, row.topic, row.payload) for row in again] == expected


# Runs in real time, with what was missed.


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_a_run_with_missed_deadlines_comes_again_as_it_was(execution: str) -> None:
    def nodes(*names: str) -> list[Node]:
        there = [
            Node(name="sensor", tick=late_sensor, pubs="reading", rate=100),
            Node(name="controller", tick=LateController().tick, subs="reading", pubs="cmd", rate=100),
            Node(
                name="logger", tick=lambda node: node.send("log", node.recv_all("cmd")), subs="cmd", pubs="log", rate=50
            ),
        ]
        return [node for node in there if node.name in names]

    everyone = ("sensor", "controller", "logger")
    scheduler = Scheduler(tick_rate=100, recording="late", seed=5)
    for node in nodes(*everyone):
        scheduler.add(node)
    scheduler.run(duration=0.6)
    files = scheduler.stop_recording()
    missed = {(event.node, event.tick) for event in events(files, "miss")}
    assert {("sensor", 12), ("sensor", 30), ("controller", 20)} <= missed
    # Each node alone live against the recording of the others, and all of them live.
    for live in (("controller",), ("logger",), ("sensor", "controller"), everyone):
        again = replayed(
            files,
            "with_" + "_".join(live),
            change=lambda scheduler, live=live: [scheduler.add(node) for node in nodes(*live)],
            execution=execution,
        )
        for node in everyone:
            assert content(again, node) == content(files, node), (live, node)
            assert [(row.tick, row.visible, row.received) for row in ran(again, node) if node in live] == [
                (row.tick, row.visible, row.received) for row in ran(files, node) if node in live
            ]


# Any graph, any part of it live.


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(graphs(most=5), st.data())
def test_any_part_of_any_graph_run_live_against_the_rest_gives_the_recorded_bytes(
    drawn: tuple[list[Drawn], int], data: st.DataObject
) -> None:
    nodes, tick_rate = drawn
    scheduler = Scheduler(tick_rate=tick_rate, execution="inline", deterministic=True, pace=False, recording=True)
    for node in nodes:
        scheduler.add(as_node(node))
    scheduler.run(duration=19.5 / max([tick_rate, *(node.rate for node in nodes if node.on is None)]))
    files = scheduler.stop_recording()
    live = data.draw(st.sets(st.sampled_from([node.name for node in nodes])))
    again = replayed(
        files,
        True,
        change=lambda it: [it.add(as_node(node)) for node in nodes if node.name in live],
        execution="inline",
    )  # type: ignore[arg-type]
    for node in nodes:
        for topic in node.pubs:
            mine = [
                [row[:2] + row[3:] for row in content(each, node.name) if row[2] == topic] for each in (files, again)
            ]
            assert mine[0] == mine[1], (node.name, topic)
