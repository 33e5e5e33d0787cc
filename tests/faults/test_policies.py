"""What follows when a node fails, is late, stuck or greedy: each policy, as events and outputs of a recording show it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import horus
from horus import InvalidValue, Node, NodeFailed, Restart, Scheduler, UnknownNode
from tests.plain_arrow import events, file_of, ran, table, values
from tests.scripts import wait_until


def scheduler_of(*nodes: Node, **options: Any) -> Scheduler:
    scheduler = Scheduler(**{"tick_rate": 100, "recording": "r", "deterministic": True, **options})
    for node in nodes:
        scheduler.add(node)
    return scheduler


def beat(name: str = "beat", **more: Any) -> Node:
    return Node(name=name, tick=lambda node: node.send(node.name, horus.tick()), pubs=name, rate=100, **more)


def stops_at(tick: int, seconds: float = 0.2) -> Callable[[Node], None]:
    """Sends each tick's number; sleeps in one of them."""

    def run(node: Node) -> None:
        node.send(node.name, horus.tick())
        if horus.tick() == tick:
            time.sleep(seconds)

    return run


def kinds(files: list[str], *wanted: str) -> list[tuple[str, str]]:
    return [(event.event, event.node) for event in events(files) if event.event in wanted]


def times_of(files: list[str]) -> list[tuple[str, int]]:
    """Events with their times, ns since 1970."""
    whole = table(file_of(files, "events"))
    times = whole.column("time").cast("int64").to_pylist()
    return list(zip(whole.column("event").to_pylist(), times, strict=True))


# Restart.


def test_a_restart_rule_says_how_often_and_how_soon() -> None:
    rule = Restart(times=3, window=9.0, first=0.5, most=1.5)
    assert [rule.delay(earlier) for earlier in range(4)] == [0.5, 1.0, 1.5, 1.5]
    for wrong in ({"times": -1}, {"window": -1}, {"first": -0.1}, {"most": -2}):
        with pytest.raises(InvalidValue, match=f"Restart {next(iter(wrong))}"):
            Restart(**wrong)  # type: ignore[arg-type]


def test_unless_told_otherwise_it_is_at_most_five_times_a_minute_after_a_tenth_of_a_second_doubling() -> None:
    rule = Restart()
    assert [rule.delay(earlier) for earlier in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert (rule.times, rule.window) == (5, 60.0)


def test_a_node_is_started_again_as_soon_as_its_rule_says_and_no_sooner(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = scheduler_of(
        Node(name="n", tick=lambda: os._exit(3), rate=100, failure_policy=Restart(times=3, first=0.2, most=0.5))
    )
    with pytest.raises(NodeFailed, match="for the 4th time in 60 s"):
        scheduler.run(duration=60)
    assert [re.findall(r"restarting it in (.*) s$", line)[0] for line in caplog.messages if "restarting" in line] == [
        "0.2", "0.4", "0.5",
    ]  # fmt: skip
    times = [each for each in times_of(scheduler.stop_recording()) if each[0] in ("crash", "restart")]
    assert [event for event, _ in times] == ["crash", "restart"] * 3 + ["crash"]
    for delay, (_, crash), (_, again) in zip((0.2, 0.4, 0.5), times[0::2], times[1::2], strict=False):
        assert delay - 0.02 <= (again - crash) * 1e-9 < delay + 2.0, "no sooner; and later only on a busy machine"


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_a_node_that_fails_more_often_than_its_rule_allows_ends_the_graph(execution: str) -> None:
    def tick(node: Node) -> None:
        node.send("t", os.getpid())
        raise RuntimeError("no power")

    scheduler = scheduler_of(
        Node(name="weak", tick=tick, pubs="t", rate=100, failure_policy=Restart(times=2, first=0.01)),
        beat(),
        execution=execution,
    )
    with pytest.raises(
        NodeFailed, match=r"node 'weak' raised an exception, for the 3rd time in 60 s, in tick \d+"
    ) as caught:
        scheduler.run(duration=60)
    assert "RuntimeError: no power" in str(caught.value)
    files = scheduler.stop_recording()
    assert kinds(files, "error", "restart", "back") == [
        ("error", "weak"), ("restart", "weak"), ("back", "weak"), ("error", "weak"), ("restart", "weak"), ("back", "weak"),
        ("error", "weak"),
    ]  # fmt: skip
    pids = [value for _, value in values(files, "weak")]
    assert (len(pids), len(set(pids))) == (3, 3 if execution == "process" else 1)


def test_an_init_that_fails_on_a_restart_counts_as_a_failure(tmp_path: Path) -> None:
    marker = tmp_path / "started"

    def init() -> None:
        if marker.exists():
            raise ConnectionError("the port is still taken")
        marker.touch()

    def tick() -> None:
        if horus.tick() == 3:
            os._exit(5)

    rule = Restart(times=2, first=0.01)
    scheduler = scheduler_of(Node(name="port", tick=tick, init=init, rate=100, failure_policy=rule))
    with pytest.raises(NodeFailed, match="node 'port' did not start again") as caught:
        scheduler.run(duration=60)
    assert "the port is still taken" in str(caught.value)
    assert scheduler.get_node_stats("port")["restarts"] == 2


def test_so_it_does_inside_the_calling_process() -> None:
    started = []

    def init() -> None:
        started.append(horus.tick())
        if len(started) > 1:
            raise ConnectionError("the port is still taken")

    def tick() -> None:
        if horus.tick() == 3:
            raise RuntimeError

    node = Node(name="port", tick=tick, init=init, rate=100, failure_policy=Restart(times=2))
    scheduler = scheduler_of(node, execution="inline")
    with pytest.raises(
        NodeFailed, match=r"did not start again \(ConnectionError: the port is still taken\), for the 3rd"
    ):
        scheduler.run(duration=1)
    assert started == [0, 4, 4]  # the tick after the failure, as in a process of its own
    assert kinds(scheduler.stop_recording(), "error", "restart", "back") == [
        ("error", "port"), ("restart", "port"), ("error", "port"), ("restart", "port"), ("error", "port"),
    ]  # fmt: skip


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_subscribers_are_told_that_a_publisher_was_restarted(execution: str) -> None:
    def tick(node: Node) -> None:
        node.send("t", horus.tick())
        if horus.tick() == 5:
            raise RuntimeError

    def listen(node: Node) -> None:
        node.send("heard", [node.recv_all("t"), horus.restarted("t")])

    scheduler = scheduler_of(
        Node(name="weak", tick=tick, pubs="t", rate=100, failure_policy=Restart(first=0.01)),
        Node(name="ear", tick=listen, subs="t", pubs="heard", rate=100),
        execution=execution,
    )
    scheduler.run(duration=0.4)
    files = scheduler.stop_recording()
    (back,) = events(files, "back")
    told = [tick for tick, (_, restarted) in values(files, "ear") if restarted]
    assert told == [back.tick]
    heard = [number for _, (numbers, _) in values(files, "ear") for number in numbers]
    assert heard == [value for _, value in values(files, "weak")], "everything, once"


# Late.


def test_a_miss_may_end_the_graph() -> None:
    scheduler = scheduler_of(
        Node(name="slow", tick=stops_at(10), pubs="slow", rate=100, on_miss="stop"), beat(), deterministic=False
    )
    with pytest.raises(NodeFailed, match=r"node 'slow' missed its deadline of 9\.5 ms in tick 10; the graph has ended"):
        scheduler.run(duration=60)
    assert [number for _, number in values(scheduler.stop_recording(), "slow")][:11] == list(range(11))


def test_misses_that_are_to_be_skipped_are_counted_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = scheduler_of(
        Node(name="slow", tick=stops_at(10), pubs="slow", rate=100, on_miss="skip"), deterministic=False
    )
    scheduler.run(duration=0.5)
    assert scheduler.get_node_stats("slow")["deadline_misses"] >= 1
    assert "missed" not in caplog.text
    assert ("miss", "slow") in kinds(scheduler.stop_recording(), "miss")


def test_one_warning_is_enough_for_many_misses(caplog: pytest.LogCaptureFixture) -> None:
    def tick() -> None:
        if horus.tick() % 10 == 5:
            time.sleep(0.03)

    scheduler = scheduler_of(Node(name="slow", tick=tick, rate=100), deterministic=False)
    scheduler.run(duration=0.5)
    assert scheduler.get_node_stats("slow")["deadline_misses"] >= 3
    assert len([record for record in caplog.records if "missed its deadline" in record.getMessage()]) == 1
    assert scheduler.safety_stats()["deadline_misses"] == scheduler.get_node_stats("slow")["deadline_misses"]
    assert scheduler.safety_stats()["health"]["slow"] == "degraded"


def test_what_takes_longer_than_its_budget_is_counted() -> None:
    def tick() -> None:
        time.sleep(0.004 if horus.tick() % 2 else 0.0)

    node = Node(name="n", tick=tick, rate=50, budget=2 * horus.ms)
    scheduler = scheduler_of(node, Node(name="free", tick=lambda: None, rate=50, budget=1.0), tick_rate=50)
    scheduler.run(duration=0.4)
    assert scheduler.get_node_stats("n")["budget_overruns"] >= 10
    assert scheduler.get_node_stats("free")["budget_overruns"] == 0


# Safe mode.


def brake() -> tuple[Node, Callable[[list[str]], list[Any]]]:
    """A node with a safe state, and what it sent: ticks, then "safe" once."""
    node = Node(
        name="brake",
        tick=lambda node: node.send("brake", horus.tick()),
        safe_state=lambda node: node.send("brake", ["safe", horus.tick()]),
        shutdown=lambda node: node.log_info("shut down"),
        pubs="brake",
        rate=100,
    )
    return node, lambda files: [value for _, value in values(files, "brake")]


def check_safe(files: list[str], sent: list[Any]) -> int:
    """Ticks, then the safe state in the tick in which safe mode began, and nothing after it. Returns that tick.

    A node that is late then, on a busy machine, runs its own when it takes part again.
    """
    (began,) = events(files, "safe mode began")
    *ticks, (word, tick) = sent
    assert word == "safe"
    was_late = any(event.node == "brake" and event.tick <= tick for event in events(files, "miss"))
    assert tick == began.tick or (was_late and tick > began.tick)
    assert all(isinstance(each, int) and each < began.tick for each in ticks)
    return began.tick


def test_a_miss_may_begin_safe_mode_in_which_only_nodes_without_a_safe_state_go_on() -> None:
    node, sent = brake()
    slow = Node(name="slow", tick=stops_at(10), pubs="slow", rate=100, on_miss="safe_mode")
    scheduler = scheduler_of(slow, node, beat(), deterministic=False)
    scheduler.run(duration=0.6)
    files = scheduler.stop_recording()
    tick = check_safe(files, sent(files))
    assert 11 <= tick <= 14
    assert events(files, "safe mode")[0].detail["reason"] == "node 'slow' missed its deadline in tick 10"
    assert values(files, "beat")[-1][0] >= 55, "sensors and loggers go on"
    assert scheduler.get_node_stats("brake")["errors_count"] == 0


def test_safe_mode_begins_after_too_many_misses() -> None:
    def tick() -> None:
        if horus.tick() % 10 == 5:
            time.sleep(0.03)

    node, sent = brake()
    scheduler = scheduler_of(Node(name="slow", tick=tick, rate=100), node, deterministic=False, max_deadline_misses=2)
    scheduler.run(duration=0.6)
    files = scheduler.stop_recording()
    misses = [event.tick for event in events(files, "miss") if event.node == "slow"]
    others = [event.tick for event in events(files, "miss") if event.node == "brake"]
    tick = check_safe(files, sent(files))
    assert tick > misses[2] or tick > [*others, *[1 << 60] * 3][2]
    assert "missed more than 2 deadlines" in events(files, "safe mode")[0].detail["reason"]


def test_a_critical_node_that_crashes_begins_safe_mode_and_is_brought_back() -> None:
    def tick(node: Node) -> None:
        if horus.tick() == 10 and not Path(marker).exists():
            Path(marker).touch()
            os._exit(3)

    marker = str(Path(os.environ["XDG_RUNTIME_DIR"]) / "crashed")
    node, sent = brake()
    vital = Node(name="vital", tick=tick, rate=100, failure_policy=Restart(first=0.01))
    scheduler = scheduler_of(vital, node, beat()).add_critical_node("vital", timeout_ms=500)
    scheduler.run(duration=0.3)
    files = scheduler.stop_recording()
    assert 10 <= check_safe(files, sent(files)) <= 12
    assert kinds(files, "crash", "restart", "back") == [("crash", "vital"), ("restart", "vital"), ("back", "vital")]
    assert "critical node 'vital' exited with code 3" in events(files, "safe mode")[0].detail["reason"]
    assert values(files, "beat")[-1][0] == 29


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_a_critical_node_that_raises_begins_safe_mode_and_is_safe_itself_when_it_is_back(execution: str) -> None:
    def tick(node: Node) -> None:
        if horus.tick() == 10:
            raise ValueError("no reading")

    node, sent = brake()
    vital = Node(
        name="vital",
        tick=tick,
        safe_state=lambda node: node.send("vital", "safe"),
        pubs="vital",
        rate=100,
        failure_policy=Restart(first=0.01),
    )
    scheduler = scheduler_of(vital, node, beat(), execution=execution).add_critical_node("vital", timeout_ms=500)
    scheduler.run(duration=0.3)
    files = scheduler.stop_recording()
    assert check_safe(files, sent(files)) == 11
    assert values(files, "vital") == [(11, "safe")]
    assert kinds(files, "error", "restart", "back") == [("error", "vital"), ("restart", "vital"), ("back", "vital")]
    assert "critical node 'vital' raised an exception" in events(files, "safe mode")[0].detail["reason"]
    assert values(files, "beat")[-1][0] == 29


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_a_critical_node_that_cannot_be_brought_back_ends_the_graph_after_safe_mode(
    execution: str, recordings: Path
) -> None:
    node, _ = brake()
    node.callbacks["safe_state"] = lambda node: node.log_info("safe")
    vital = Node(name="vital", tick=lambda: 1 / (10 - horus.tick()), rate=100, failure_policy="skip")
    scheduler = scheduler_of(vital, node, execution=execution).add_critical_node("vital", timeout_ms=500)
    with pytest.raises(NodeFailed, match="node 'vital' raised an exception in tick 10"):
        scheduler.run(duration=1)
    assert len(events(scheduler.stop_recording(), "safe mode")) == 1
    log = (recordings / "r" / "logs" / "brake.log").read_text()
    assert re.findall(r": (safe|shut down)", log) == ["safe", "shut down"]


def test_a_critical_node_that_is_stuck_is_killed_and_safe_mode_begins() -> None:
    node, sent = brake()
    vital = Node(name="vital", tick=stops_at(10, 60.0), pubs="vital", rate=100, failure_policy=Restart(first=0.01))
    scheduler = scheduler_of(vital, node, beat(), deterministic=False).add_critical_node("vital", timeout_ms=200)
    scheduler.run(duration=1.2)
    files = scheduler.stop_recording()
    check_safe(files, sent(files))
    assert kinds(files, "watchdog", "crash", "restart")[:3] == [
        ("watchdog", "vital"),
        ("crash", "vital"),
        ("restart", "vital"),
    ]


def test_safe_mode_can_be_asked_for_from_outside() -> None:
    import threading

    node, sent = brake()
    scheduler = scheduler_of(node, beat())
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        wait_until(lambda: scheduler.current_tick() > 10, what="the 10th tick")
        assert scheduler.enter_safe_mode("the bumper was hit") is scheduler
        tick = scheduler.current_tick()
        wait_until(lambda: scheduler.current_tick() > tick + 10, what="ten more")
    finally:
        scheduler.stop()
        thread.join(20)
    files = scheduler.stop_recording()
    assert check_safe(files, sent(files)) >= 10
    assert events(files, "safe mode")[0].detail["reason"] == "the bumper was hit"


def test_a_failure_that_ends_the_graph_brings_every_node_into_its_safe_state_first(recordings: Path) -> None:
    node, _ = brake()
    order = Node(
        name="order",
        tick=lambda: None,
        safe_state=lambda node: node.log_info("safe"),
        shutdown=lambda node: node.log_info("down"),
        rate=100,
    )
    bad = Node(name="bad", tick=lambda: 1 / (10 - horus.tick()), rate=100)
    for execution in ("process", "inline"):
        scheduler = scheduler_of(bad, node, order, recording=execution, execution=execution)
        with pytest.raises(NodeFailed, match="'bad'"):
            scheduler.run(duration=1)
        log = (recordings / execution / "logs" / "order.log").read_text()
        assert re.findall(r": (safe|down)", log) == ["safe", "down"], execution


def test_a_critical_node_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNode, match=r"'vitl'.*did you mean 'vital'"):
        scheduler_of(beat("vital")).add_critical_node("vitl", timeout_ms=100)
    with pytest.raises(InvalidValue, match="critical timeout"):
        scheduler_of(beat("vital")).add_critical_node("vital", timeout_ms=0)


# Greedy, and worse.


def test_nodes_that_misbehave_hurt_themselves_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def eat(node: Node) -> None:
        if horus.tick() == 3:
            node.state["food"] = bytearray(2_000_000_000)

    def open_many(node: Node) -> None:
        if horus.tick() == 3:
            opened = []
            try:
                while True:
                    opened.append(open("/dev/null"))  # noqa: SIM115
            except OSError:
                node.send("files", len(opened))
            for file in opened:
                file.close()

    def fork(node: Node) -> None:
        if horus.tick() == 3:
            child = subprocess.Popen(["sleep", "300"])  # whoever ends the node must end this too
            node.state["child"] = child
            node.send("child", child.pid)

    def fall_silent(node: Node) -> None:
        if horus.tick() == 3:
            print("last words", flush=True)
            os.close(1)
            os.close(2)
        node.send("mute", horus.tick())

    scheduler = scheduler_of(
        Node(name="eater", tick=eat, rate=100, memory_mb=500, failure_policy="skip"),
        Node(name="opener", tick=open_many, pubs="files", rate=100, open_files=64),
        Node(name="forker", tick=fork, pubs="child", rate=100),
        Node(name="mute", tick=fall_silent, pubs="mute", rate=100),
        beat(),
    )
    scheduler.run(duration=0.3)
    files = scheduler.stop_recording()
    assert "node 'eater' raised an exception in tick 3" in caplog.text
    assert "MemoryError" in caplog.text
    ((_, opened),) = values(files, "opener")
    assert 10 < opened < 64
    ((_, child),) = values(files, "forker")
    wait_until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE,
        what="the child's end",
    )
    assert [number for _, number in values(files, "mute")] == list(range(30))
    assert "[mute] last words\n" in capfd.readouterr().out
    assert [number for _, number in values(files, "beat")] == list(range(30))
    assert [row.status for row in ran(files, "beat")] == ["ok"] * 30
