"""Nodes that do what no node should, one after the other; docs/supervision.md says what each of them gets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import horus
from horus import Node, NodeFailed, Restart, Scheduler, StartFailed
from tests.plain_arrow import events, values
from tests.scripts import alive, children, start, wait_until, write_script

DETERMINISTIC = pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])


def of_node(files: list[str], name: str, *left_out: str) -> list[str]:
    return [event.event for event in events(files) if event.node == name and event.event not in left_out]


@contextmanager
def running(scheduler: Scheduler, seconds: float = 60) -> Iterator[list[BaseException]]:
    """Runs it on a thread until the block ends; what it raised is in the list then."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            scheduler.run(duration=seconds)
        except BaseException as problem:
            raised.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: scheduler.current_tick() > 10 or raised, what="the tenth tick")
        yield raised
    finally:
        scheduler.stop()
        thread.join(30)
    assert not thread.is_alive()


# Closes what it should not.


@DETERMINISTIC
@pytest.mark.parametrize("what", ["its output", "everything"])
def test_one_that_closes_its_descriptors_goes_on_and_costs_its_supervisor_nothing(
    deterministic: bool, what: str
) -> None:
    def tick(node: Node) -> None:
        if horus.tick() == 3 and what == "everything":
            os.closerange(0, 1000)
        elif horus.tick() == 3:
            os.close(1)
            os.close(2)

    scheduler = Scheduler(tick_rate=100, deterministic=deterministic).add(Node(name="mute", tick=tick, rate=100))
    with running(scheduler) as raised:
        tick_before, cpu_before, began = scheduler.current_tick(), time.process_time(), time.monotonic()
        wait_until(lambda: time.monotonic() - began > 0.5, what="half a second")
        # This process sleeps in the meantime, but for these looks. Asking a closed pipe over and over would take 0.2 s.
        assert time.process_time() - cpu_before < 0.1
        assert scheduler.current_tick() > tick_before
    assert raised == []
    assert scheduler.get_node_stats("mute")["restarts"] == 0


# Stands still.


@DETERMINISTIC
def test_one_that_is_stopped_between_two_ticks_is_killed_by_its_watchdog_and_started_again(
    deterministic: bool, recordings: Path
) -> None:
    scheduler = Scheduler(tick_rate=100, deterministic=deterministic, recording="r", watchdog_ms=200)
    scheduler.add(
        Node(name="n", tick=lambda node: node.send("n", horus.tick()), pubs="n", rate=100, failure_policy="restart")
    )
    scheduler.add(Node(name="ear", tick=lambda node: node.recv_all("n"), subs="n", rate=100))
    with running(scheduler) as raised:
        os.kill(scheduler.get_node_stats("n")["pid"], signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: scheduler.get_node_stats("n")["restarts"] == 1, what="its restart")
        assert time.monotonic() - stopped > 0.2
        ticks = scheduler.get_node_stats("n")["total_ticks"]
        wait_until(lambda: scheduler.get_node_stats("n")["total_ticks"] > ticks + 5, what="its ticks after that")
    assert raised == []
    files = scheduler.stop_recording()
    found = of_node(files, "n", "miss")
    assert found[:6] == ["ready", "watchdog", "crash", "restart", "ready", "back"]
    assert events(files, "watchdog")[0].detail == {"limit": 0.2, "process": "is stopped"}
    assert len(events(files, "watchdog")) == len(events(files, "crash")), "one for each"
    assert events(files, "crash")[0].detail == {"reason": "was stuck for more than 0.2 s and killed by its watchdog"}
    assert of_node(files, "ear", "miss") == ["ready"], "who waits for it is not to blame"


@DETERMINISTIC
def test_one_whose_init_hangs_when_it_is_started_again_has_failed_again(
    deterministic: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, die = tmp_path / "started", tmp_path / "die"

    def init() -> None:
        if marker.exists():
            threading.Event().wait()
        marker.touch()

    def tick() -> None:
        if die.exists():
            os._exit(5)

    scheduler = Scheduler(tick_rate=100, deterministic=deterministic)
    scheduler.add(Node(name="n", tick=tick, init=init, rate=100, failure_policy=Restart(times=2, first=0.01)))
    with running(scheduler) as raised:
        monkeypatch.setattr("horus_core.execution.supervisor.START_SECONDS", 0.5)
        die.touch()
        wait_until(lambda: raised, what="the graph's end")
    (problem,) = raised
    assert isinstance(problem, NodeFailed)
    assert "node 'n' did not start again (its init has not returned after 0.5 s), for the 3rd time" in str(problem)
    assert scheduler.get_node_stats("n")["restarts"] == 2


def test_a_graph_that_stood_still_as_a_whole_loses_no_node_over_it(tmp_path: Path, recordings: Path) -> None:
    """As a container that is paused: no watchdog counts the time, though the node is in the middle of a tick."""
    source = """
        import pathlib, time
        import horus
        from horus import Node, Scheduler

        def tick(node):
            if horus.tick() == 5:
                pathlib.Path("in").touch()
                while not pathlib.Path("go").exists():
                    time.sleep(0.005)

        scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r", watchdog_ms=800)
        scheduler.add(Node(name="n", tick=tick, rate=100)).run(duration=0.2)
    """
    process = start(write_script(tmp_path, source))
    try:
        wait_until(lambda: (tmp_path / "in").exists() or process.poll() is not None, what="the tick")
        there = [psutil.Process(process.pid), children(process.pid)["horus:n"]]
        for each in there:
            each.suspend()
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1.0, what="longer than its watchdog")
        for each in there:
            each.resume()
        (tmp_path / "go").touch()
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (0, ""), out
    files = [str(path) for path in (recordings / "r").glob("*.arrow")]
    assert of_node(files, "n") == ["ready"]
    slips = [event.detail for event in events(files, "slip")]
    assert sum(each["releases"] for each in slips) >= 1
    assert sum(each["late"] for each in slips) > 0.9


def test_one_that_stands_still_before_its_first_tick_receives_what_was_sent_meanwhile() -> None:
    def stand_still() -> None:  # from when its init has returned until some ticks after that of the other has
        subprocess.Popen(["sh", "-c", f"sleep 0.4; kill -STOP {os.getpid()}; sleep 1; kill -CONT {os.getpid()}"])

    def hear(node: Node) -> None:
        node.send("heard", node.recv_all("n"))

    scheduler = Scheduler(tick_rate=100, recording="r")
    scheduler.add(
        Node("n", lambda node: node.send("n", horus.tick()), init=lambda: time.sleep(0.8), rate=100, pubs="n")
    )
    scheduler.add(Node("ear", hear, init=stand_still, rate=100, subs="n", pubs="heard"))
    scheduler.run(duration=1.5)
    heard = [each for _, found in values(scheduler.stop_recording(), "ear") for each in found]
    assert heard == list(range(heard[-1] + 1))
    assert heard[-1] > 100


# Raises, and leaves.


@pytest.mark.parametrize("policy", ["fatal", "skip"])
def test_one_that_raises_in_on_error_fails_with_that(policy: str, recordings: Path) -> None:
    def on_error(node: Node, problem: Exception) -> None:
        raise LookupError(f"no idea what to do about {problem}")

    def tick() -> None:
        raise ValueError("a bad reading")

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r")
    scheduler.add(Node(name="n", tick=tick, on_error=on_error, rate=100, failure_policy=policy))
    scheduler.add(Node(name="other", tick=lambda node: node.send("o", horus.tick()), pubs="o", rate=100))
    if policy == "fatal":
        with pytest.raises(NodeFailed, match=r"node 'n' raised an exception in tick 0") as caught:
            scheduler.run(duration=0.1)
        assert "LookupError: no idea what to do about a bad reading" in str(caught.value)
    else:
        scheduler.run(duration=0.1)
        assert [value for _, value in values(scheduler.stop_recording(), "other")] == list(range(10))
    (error,) = events(scheduler.stop_recording(), "error")
    assert (error.node, error.tick) == ("n", 0)
    assert "LookupError" in error.detail["traceback"]


def test_one_that_raises_in_init_keeps_the_graph_from_starting_and_nothing_is_left(recordings: Path) -> None:
    def init() -> None:
        raise ConnectionError("no camera")

    scheduler = Scheduler(tick_rate=100, recording="r")
    scheduler.add(Node(name="n", tick=lambda: None, init=init, rate=100)).add(
        Node(name="o", tick=lambda: None, rate=100)
    )
    with pytest.raises(StartFailed, match=r"node 'n'.*no camera"):
        scheduler.run(duration=0.1)
    assert not (recordings / "r").exists()
    assert list(children(os.getpid())) == []


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_one_that_raises_in_shutdown_is_an_event_and_the_others_shut_down(execution: str, recordings: Path) -> None:
    def bad(node: Node) -> None:
        raise OSError("the port is gone")

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r", execution=execution)
    scheduler.add(Node(name="bad", tick=lambda: None, shutdown=bad, rate=100))
    scheduler.add(Node(name="good", tick=lambda: None, shutdown=lambda node: node.log_info("bye"), rate=100))
    scheduler.run(duration=0.1)
    files = scheduler.stop_recording()
    (error,) = events(files, "error")
    assert (error.node, error.detail["callback"]) == ("bad", "shutdown")
    assert error.detail["traceback"].endswith("OSError: the port is gone")
    assert re.findall(r'File "(.*?)", line \d+, in (.*)', error.detail["traceback"]) == [(__file__, "bad")]
    assert events(files, "crash") == []
    assert "bye" in (recordings / "r" / "logs" / "good.log").read_text()


def test_one_that_leaves_in_shutdown_is_a_crash_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r")
    scheduler.add(Node(name="leaver", tick=lambda: None, shutdown=lambda: os._exit(6), rate=100))
    scheduler.run(duration=0.1)
    (crash,) = events(scheduler.stop_recording(), "crash")
    assert (crash.node, crash.detail) == ("leaver", {"reason": "exited with code 6"})
    assert "node 'leaver' exited with code 6 while it was being stopped" in caplog.text


def test_one_that_calls_sys_exit_has_crashed_with_that_code() -> None:
    def tick() -> None:
        if horus.tick() == 3:
            sys.exit(3)

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r")
    scheduler.add(Node(name="n", tick=tick, rate=100))
    with pytest.raises(NodeFailed, match="node 'n' exited with code 3 in tick 3"):
        scheduler.run(duration=1)
    assert [event.detail["reason"] for event in events(scheduler.stop_recording(), "crash")] == ["exited with code 3"]


@pytest.mark.parametrize("deterministic", [True, False], ids=["lockstep", "real time"])
def test_a_thread_that_it_leaves_behind_does_not_keep_the_process_of_one_that_calls_sys_exit(
    deterministic: bool,
) -> None:
    def tick() -> None:
        if horus.tick() == 3:
            threading.Thread(target=threading.Event().wait, args=(300,)).start()
            sys.exit(3)

    scheduler = Scheduler(tick_rate=100, deterministic=deterministic)
    scheduler.add(Node(name="n", tick=tick, rate=100))
    began = time.monotonic()
    with pytest.raises(NodeFailed, match="node 'n' exited with code 3"):
        scheduler.run(duration=200)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_a_fatal_node_that_raises_brings_itself_into_its_safe_state_too(tmp_path: Path, execution: str) -> None:
    def tick() -> None:
        if horus.tick() == 3:
            raise ValueError("no")

    scheduler = Scheduler(tick_rate=100, deterministic=True, execution=execution)
    for name, callback in (("arm", tick), ("other", lambda: None)):
        safe = tmp_path / name
        scheduler.add(Node(name=name, tick=callback, rate=100, safe_state=lambda safe=safe: safe.touch()))
    with pytest.raises(NodeFailed, match="node 'arm'"):
        scheduler.run(duration=1)
    assert {each.name for each in tmp_path.iterdir()} >= {"arm", "other"}


# Forks.


def forking(marker: Path) -> Any:
    def tick(node: Node) -> None:
        if horus.tick() == 3:
            child = subprocess.Popen(["sleep", "300"])
            node.state["child"] = child
            marker.write_text(str(child.pid))

    return tick


def test_what_a_node_has_forked_ends_with_it_and_before_it_is_started_again(tmp_path: Path) -> None:
    marker = tmp_path / "child"
    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="r")
    scheduler.add(Node(name="n", tick=forking(marker), rate=100, failure_policy="restart"))
    with running(scheduler) as raised:
        child = int(wait_until(lambda: marker.exists() and marker.read_text(), what="its child"))
        assert alive(child)
        os.kill(scheduler.get_node_stats("n")["pid"], signal.SIGKILL)
        wait_until(lambda: scheduler.get_node_stats("n")["restarts"] == 1, what="its restart")
        assert not alive(child)
    assert raised == []


def test_what_a_node_has_forked_ends_with_a_supervisor_that_is_killed(tmp_path: Path, recordings: Path) -> None:
    """The nodes die with it, by the kernel's doing; the recorder, which outlives it, ends what they have left."""
    source = """
        import pathlib, subprocess
        import horus

        def tick(node):
            if horus.tick() == 3:
                node.state["child"] = subprocess.Popen(["sleep", "300"])
                pathlib.Path("child").write_text(str(node.state["child"].pid))

        horus.Scheduler(tick_rate=100, deterministic=True, recording="r").add(horus.Node(name="n", tick=tick, rate=100)).run()
    """
    process = start(write_script(tmp_path, source))
    marker = tmp_path / "child"
    try:
        child = int(wait_until(lambda: marker.exists() and marker.read_text(), what="its child"))
        there = children(process.pid)
        assert alive(child)
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not any(alive(each.pid) for each in there.values()), what="the graph's end")
    wait_until(lambda: not alive(child), what="the child's end")
