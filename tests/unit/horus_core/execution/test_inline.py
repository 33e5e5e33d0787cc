"""Inline execution: the whole graph in this process, so a test's own variables are the nodes' too."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import horus
from horus import InvalidValue, Node, NodeFailed, Scheduler, SchedulerBusy, StartFailed
from horus_core.execution import inline
from tests.plain_arrow import events, ran, values


def inline_scheduler(*nodes: Node, **options: Any) -> Scheduler:
    scheduler = Scheduler(**{"tick_rate": 100, "execution": "inline", "deterministic": True, "pace": False, **options})
    for node in nodes:
        scheduler.add(node)
    return scheduler


def test_nodes_run_here_one_after_the_other_in_the_order_of_the_graph() -> None:
    seen: list[tuple[str, int, int]] = []

    def note(name: str) -> Callable[[Node], None]:
        return lambda node: seen.append((name, horus.tick(), os.getpid()))

    scheduler = inline_scheduler(
        Node(name="c", tick=note("c"), subs="bc", rate=100),
        Node(name="b", tick=note("b"), subs="ab", pubs="bc", rate=50),
        Node(name="a", tick=note("a"), pubs="ab", rate=100),
    )
    scheduler.run(duration=0.04)
    me = os.getpid()
    assert seen == [
        ("a", 0, me), ("b", 0, me), ("c", 0, me), ("a", 1, me), ("c", 1, me),
        ("a", 2, me), ("b", 2, me), ("c", 2, me), ("a", 3, me), ("c", 3, me),
    ]  # fmt: skip


def test_init_comes_first_and_shutdown_last_each_once_in_order() -> None:
    calls: list[str] = []
    nodes = [
        Node(
            name=name,
            tick=lambda node: calls.append(f"{node.name}.tick"),
            init=lambda node: calls.append(f"{node.name}.init"),
            shutdown=lambda node: calls.append(f"{node.name}.shutdown"),
            rate=100,
        )
        for name in "ab"
    ]
    inline_scheduler(*nodes).run(duration=0.02)
    assert calls == ["a.init", "b.init", "a.tick", "b.tick", "a.tick", "b.tick", "a.shutdown", "b.shutdown"]


def test_what_a_node_keeps_in_its_state_can_be_looked_at_afterwards() -> None:
    def count(node: Node) -> None:
        node.state["ticks"] = node.state.get("ticks", 0) + 1

    node = Node(name="n", tick=count, rate=100)
    inline_scheduler(node).run(duration=0.25)
    assert node.state == {"ticks": 25}
    with pytest.raises(SchedulerBusy):
        node.send("t", 1)


def test_the_environment_chooses_it_and_an_argument_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []
    monkeypatch.setenv("HORUS_EXECUTION", "inline")
    horus.run(Node(name="n", tick=lambda: pids.append(os.getpid()), rate=100), duration=0.01)
    assert pids == [os.getpid()]
    with pytest.raises(InvalidValue, match=r"execution is 'thread'.*'process' or 'inline'"):
        Scheduler(execution="thread")
    monkeypatch.setenv("HORUS_EXECUTION", "everywhere")
    with pytest.raises(InvalidValue, match="'everywhere'"):
        Scheduler()


# Time.


class Clock:
    """`time` for the module: passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now * 1e-9

    def time_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inline, "time", clock)
    return clock


@pytest.mark.parametrize(("speed", "seconds"), [(1, 2.0), (0.5, 4.0), (0.01, 200.0), (100, 0.02), (0, 0.0)])
def test_a_replay_of_200_ticks_of_10_ms_takes_2_s_divided_by_the_speed(
    clock: Clock, speed: float, seconds: float
) -> None:
    recorded = inline_scheduler(
        Node(name="a", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=100), recording="r"
    )
    recorded.run(duration=2.0)
    heard: list[tuple[int, float]] = []
    replay = Scheduler.replay_from(recorded.stop_recording()[0], execution="inline").set_replay_speed(speed)
    replay.add(
        Node(name="probe", tick=lambda node: heard.append((node.recv("t"), clock.now * 1e-9)), subs="t", rate=100)
    )
    began = clock.monotonic()
    replay.run()
    assert [value for value, _ in heard] == list(range(200))
    period = seconds / 200
    for tick, (_, at) in enumerate(heard):
        assert at - began == pytest.approx(tick * period, abs=1e-6)
    assert seconds - period - 1e-6 <= clock.monotonic() - began <= seconds + 1e-6


def test_a_slow_tick_moves_the_schedule_on_without_a_burst(clock: Clock) -> None:
    began: list[int] = []

    def tick() -> None:
        began.append(clock.now)
        if horus.tick() == 2:
            clock.now += 45_000_000

    inline_scheduler(Node(name="n", tick=tick, rate=100), pace=True).run(duration=0.08)
    gaps = [after - before for before, after in itertools.pairwise(began)]
    assert len(began) == 8
    assert min(gaps) >= 9_999_000
    assert gaps[2] >= 45_000_000


def test_the_speed_may_change_while_it_runs(clock: Clock) -> None:
    recorded = inline_scheduler(Node(name="a", tick=lambda node: node.send("t", 0), pubs="t", rate=100), recording="r")
    recorded.run(duration=0.1)
    at: list[int] = []

    def probe() -> None:
        at.append(clock.now)
        if horus.tick() == 4:
            replay.set_replay_speed(0.1)

    replay = Scheduler.replay_from(recorded.stop_recording()[0], execution="inline")
    replay.add(Node(name="probe", tick=probe, rate=100))
    replay.run()
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert gaps[:4] == pytest.approx([10e6] * 4, abs=10)
    assert gaps[5:] == pytest.approx([100e6] * 4, abs=10)


def test_real_time_is_kept_too(clock: Clock) -> None:
    at: list[int] = []
    inline_scheduler(
        Node(name="n", tick=lambda: at.append(clock.now), rate=50), deterministic=False, pace=True, tick_rate=1
    ).run(duration=1.0)
    assert [each - at[0] for each in at] == pytest.approx([k * 20_000_000 for k in range(50)], abs=10)


# Failures.


def boom(node: Node) -> None:
    if horus.tick() == 3:
        raise ZeroDivisionError("the robot fell over")


def test_an_exception_ends_the_graph_with_the_nodes_own_traceback() -> None:
    stopped: list[str] = []
    scheduler = inline_scheduler(
        Node(name="bad", tick=boom, rate=100, shutdown=lambda: stopped.append("bad")),
        Node(name="good", tick=lambda: None, rate=100, shutdown=lambda: stopped.append("good")),
    )
    with pytest.raises(NodeFailed) as caught:
        scheduler.run(duration=1)
    text = str(caught.value)
    assert text.splitlines()[0] == "node 'bad' raised an exception in tick 3; the graph has ended"
    assert "ZeroDivisionError: the robot fell over" in text
    assert "in boom" in text
    assert "runner.py" not in text
    assert isinstance(caught.value.__cause__, ZeroDivisionError), "pdb.post_mortem finds the node's frames"
    assert traceback.extract_tb(caught.value.__cause__.__traceback__)[-1].name == "boom"
    assert stopped == ["bad", "good"]
    assert scheduler.current_tick() == 4
    assert scheduler.status() == "stopped"


def test_an_init_that_raises_starts_nothing_and_ends_what_had_started() -> None:
    calls: list[str] = []

    def init() -> None:
        raise ConnectionError("no such port")

    nodes = [
        Node(
            name="a",
            tick=lambda: calls.append("tick"),
            init=lambda: calls.append("a.init"),
            shutdown=lambda: calls.append("a.end"),
        ),
        Node(name="b", tick=lambda: calls.append("tick"), init=init, shutdown=lambda: calls.append("b.end")),
    ]
    with pytest.raises(StartFailed, match=r"node 'b' did not start: ConnectionError: no such port") as caught:
        inline_scheduler(*nodes).run(duration=1)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert "tick" not in calls
    assert calls[:2] == ["a.init", "a.end"]


def test_on_error_takes_the_exception_and_the_node_goes_on() -> None:
    problems: list[tuple[str, int, str]] = []
    ticks: list[int] = []

    def tick(node: Node) -> None:
        ticks.append(horus.tick())
        boom(node)

    node = Node(
        name="n",
        tick=tick,
        rate=100,
        on_error=lambda node, problem: problems.append((node.name, horus.tick(), str(problem))),
    )
    scheduler = inline_scheduler(node)
    scheduler.run(duration=0.06)
    assert ticks == list(range(6))
    assert problems == [("n", 3, "the robot fell over")]
    assert scheduler.get_node_stats("n")["errors_count"] == 1


def test_an_exception_in_on_error_is_what_ends_the_graph() -> None:
    def handler(problem: Exception) -> None:
        raise KeyError("handler") from problem

    with pytest.raises(NodeFailed) as caught:
        inline_scheduler(Node(name="n", tick=boom, rate=100, on_error=handler)).run(duration=0.06)
    assert "KeyError: 'handler'" in str(caught.value)
    assert "the robot fell over" in str(caught.value), "and where it came from"


def test_restart_begins_with_a_fresh_state_and_init(caplog: pytest.LogCaptureFixture) -> None:
    starts: list[int] = []

    def init(node: Node) -> None:
        starts.append(horus.tick())
        node.state["since"] = horus.tick()

    def tick(node: Node) -> None:
        node.send("t", [node.state["since"], node.state.setdefault("n", 0)])
        node.state["n"] += 1
        boom(node)

    scheduler = inline_scheduler(
        Node(name="n", tick=tick, init=init, pubs="t", rate=100, failure_policy="restart"), recording="r"
    )
    scheduler.run(duration=0.08)
    assert len(starts) == 2
    files = scheduler.stop_recording()
    sent = values(files, "n")
    assert sent[:4] == [(0, [0, 0]), (1, [0, 1]), (2, [0, 2]), (3, [0, 3])], "what the failed tick had sent counts"
    assert [value[1] for _, value in sent[4:]] == list(range(len(sent) - 4)), "its state began anew"
    assert scheduler.get_node_stats("n")["restarts"] == 1
    assert [event.event for event in events(files) if event.node == "n"].count("restart") == 1
    assert [row.status for row in ran(files, "n")].count("error") == 1


def test_skip_goes_on_without_the_node_and_ignore_goes_on_with_it(caplog: pytest.LogCaptureFixture) -> None:
    ticks: dict[str, list[int]] = {"skip": [], "ignore": [], "other": []}

    def tick(node: Node) -> None:
        ticks[node.name].append(horus.tick())
        if node.name != "other":
            boom(node)

    scheduler = inline_scheduler(
        Node(name="skip", tick=tick, rate=100, failure_policy="skip"),
        Node(name="ignore", tick=tick, rate=100, failure_policy="ignore"),
        Node(name="other", tick=tick, rate=100),
    )
    with caplog.at_level(logging.WARNING):
        scheduler.run(duration=0.08)
    assert ticks == {"skip": [0, 1, 2, 3], "ignore": list(range(8)), "other": list(range(8))}
    assert "node 'skip'" in caplog.text
    assert "the robot fell over" in caplog.text


def test_a_shutdown_that_raises_keeps_nobody_from_theirs(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def fails() -> None:
        raise RuntimeError("the port was closed")

    nodes = [
        Node(name="a", tick=lambda: None, shutdown=fails, rate=100),
        Node(name="b", tick=lambda: None, shutdown=lambda: calls.append("b"), rate=100),
    ]
    inline_scheduler(*nodes).run(duration=0.02)
    assert calls == ["b"]
    assert "node 'a'" in caplog.text
    assert "the port was closed" in caplog.text


# Ends.


def test_request_stop_ends_the_run_after_its_tick() -> None:
    ticks: list[str] = []

    def tick(node: Node) -> None:
        ticks.append(f"a{horus.tick()}")
        if horus.tick() == 2:
            node.request_stop()

    scheduler = inline_scheduler(
        Node(name="a", tick=tick, pubs="t", rate=100),
        Node(name="b", tick=lambda: ticks.append(f"b{horus.tick()}"), subs="t", rate=100),
    )
    scheduler.run()
    assert ticks == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert scheduler.current_tick() == 3


def test_stop_from_another_thread_ends_the_run() -> None:
    began = threading.Event()
    scheduler = inline_scheduler(Node(name="a", tick=began.set, rate=100), pace=True)

    def stop() -> None:
        began.wait(10)
        scheduler.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    scheduler.run(duration=600)
    thread.join()
    assert scheduler.status() == "stopped"


def test_ticks_can_be_made_one_by_one() -> None:
    ticks: list[int] = []
    with inline_scheduler(Node(name="a", tick=lambda: ticks.append(horus.tick()), rate=100)) as scheduler:
        for expected in range(1, 4):
            scheduler.tick_once()
            assert ticks == list(range(expected))
            assert scheduler.current_tick() == expected
        assert scheduler.status() == "stepping"
        scheduler.tick_for(0.05)
        assert ticks == list(range(8))
    assert scheduler.status() == "stopped"


def test_a_callback_may_be_async() -> None:
    import asyncio

    heard: list[tuple[int, int]] = []

    async def sensor(node: Node) -> None:
        await asyncio.sleep(0)
        node.send("t", horus.tick())

    async def init(node: Node) -> None:
        node.state["lock"] = asyncio.Lock()

    async def controller(node: Node) -> None:
        async with node.state["lock"]:
            heard.append((horus.tick(), node.recv("t")))

    inline_scheduler(
        Node(name="s", tick=sensor, pubs="t", rate=100), Node(name="c", tick=controller, init=init, subs="t", rate=100)
    ).run(duration=0.05)
    assert heard == [(tick, tick) for tick in range(5)]


def test_the_nodes_clock_is_gone_when_they_are() -> None:
    inline_scheduler(Node(name="a", tick=lambda: None, rate=100)).run(duration=0.05)
    assert (horus.dt(), horus.tick()) == (0.0, 0)
    assert abs(horus.now() - time.time()) < 5


def test_two_graphs_take_turns_in_one_process() -> None:
    """Stepping one while another steps: neither sees the other's topics or clock."""
    seen: list[tuple[str, int, Any]] = []
    schedulers = {}
    for name in ("one", "two"):
        schedulers[name] = inline_scheduler(
            Node(name="w", tick=lambda node, name=name: node.send("t", name), pubs="t", rate=100),
            Node(
                name="r",
                tick=lambda node, name=name: seen.append((name, horus.tick(), node.recv_all("t"))),
                subs="t",
                rate=100,
            ),
        )
    for _ in range(3):
        for scheduler in schedulers.values():
            scheduler.tick_once()
    for scheduler in schedulers.values():
        scheduler.stop()
    assert seen == [(name, tick, [name]) for tick in range(3) for name in ("one", "two")]


def test_what_a_node_logs_goes_to_the_output_and_into_its_log(
    capsys: pytest.CaptureFixture[str], recordings: Any
) -> None:
    def tick(node: Node) -> None:
        node.log_info("all well")
        node.log_debug("details")

    inline_scheduler(Node(name="n", tick=tick, rate=100), recording="r").run(duration=0.01)
    printed = capsys.readouterr().out
    assert "[n]" in printed
    assert "all well" in printed
    assert "details" not in printed
    log = (recordings / "r" / "logs" / "n.log").read_text()
    assert "all well" in log
    assert "details" in log
