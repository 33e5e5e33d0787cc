"""Processes that die at the worst moment: what stays running, what stays in /dev/shm, and what the recording holds."""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import horus
from horus import Node, NodeFailed, Scheduler
from tests.plain_arrow import events, ran, rows
from tests.scripts import alive, children, start, wait_until, write_script

SHM = Path("/dev/shm")


def names_of(graph: str) -> list[str]:
    return sorted(name for name in os.listdir(SHM) if graph in name)


def session_values(folder: Path, node: str) -> list[tuple[int, Any]]:
    """Tick and value of all messages of a node, from all parts of its file, cut or whole."""
    import msgspec

    found = []
    for path in sorted(folder.glob(f"{node}@*.arrow"), key=lambda path: (len(path.name), path.name)):
        whole = path.read_bytes().endswith(b"ARROW1")
        for tick, payload in rows(path, ("tick", "payload"), cut=not whole):
            found.append((tick, msgspec.msgpack.decode(payload)))
    return found


# The script.

SCRIPT = """
import os, sys, horus
from horus import Node, Scheduler

def tick(node):
    node.send("t", horus.tick())
    noted = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(noted, b"%d\\n" % horus.tick())  # it has sent this
    os.close(noted)

scheduler = Scheduler(tick_rate=200, recording="killed", deterministic=sys.argv[2] == "lockstep")
scheduler.add(Node(name="sensor", tick=tick, pubs="t", rate=200))
scheduler.add(Node(name="ear", tick=lambda node: node.recv("t"), subs="t", rate=100))
scheduler.run()
"""


@pytest.mark.parametrize("mode", ["real time", "lockstep"])
@pytest.mark.parametrize("also", ["", "recorder"], ids=["script", "script and recorder"])
def test_a_script_that_is_killed_takes_its_workers_with_it_and_loses_nothing_it_sent(
    tmp_path: Path, recordings: Path, mode: str, also: str
) -> None:
    noted = tmp_path / "noted"
    process = start(write_script(tmp_path, SCRIPT), str(noted), mode)
    try:
        wait_until(lambda: noted.exists() and len(noted.read_bytes().split()) > 60, what="the 60th tick")
        there = children(process.pid)
        assert set(there) == {"horus:sensor", "horus:ear", "horus:recorder"}
        (runtime,) = Path(os.environ["XDG_RUNTIME_DIR"], "horus").glob("graph-*.json")
        graph = runtime.stem.removeprefix("graph-")
        assert names_of(graph)
        process.kill()
        killed = time.monotonic()
        if also:
            there["horus:recorder"].kill()
    finally:
        process.kill()
        process.communicate(timeout=10)
    wait_until(
        lambda: not alive(there["horus:sensor"].pid) and not alive(there["horus:ear"].pid), what="the workers' end"
    )
    assert time.monotonic() - killed < 2.0
    wait_until(lambda: not alive(there["horus:recorder"].pid), what="the recorder's end")

    sent = [int(each) for each in noted.read_bytes().split()]
    recorded = session_values(recordings / "killed", "sensor")
    assert [tick for tick, _ in recorded] == [value for _, value in recorded]
    assert [tick for tick, _ in recorded] == sorted({tick for tick, _ in recorded}), "each once, in order"
    if also:
        # Nobody was left to write the last moment, the rest is there.
        assert {tick for tick, _ in recorded} >= {tick for tick in sent if tick < sent[-1] - 200}
    else:
        assert {tick for tick, _ in recorded} >= set(sent)
        assert names_of(graph) == [], "the recorder took the graph's names away"

    Scheduler(tick_rate=100, deterministic=True, pace=False).add(Node(name="next", tick=lambda: None, rate=100)).run(
        duration=0.02
    )
    assert names_of(graph) == []
    from horus_core.inspection.running_graphs import running_graphs

    assert running_graphs() == []
    assert not runtime.exists()


# A node.


@contextmanager
def running(scheduler: Scheduler) -> Iterator[list[BaseException]]:
    """Runs it on a thread; what it raised is in the list afterwards."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            scheduler.run(duration=60)
        except BaseException as problem:
            raised.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        scheduler.stop()
        thread.join(30)
    assert not thread.is_alive()


def noting(path: Path) -> Callable[[Node], None]:
    def tick(node: Node) -> None:
        node.send("t", [os.getpid(), horus.tick()])
        noted = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(noted, b"%d %d\n" % (os.getpid(), horus.tick()))
        os.close(noted)

    return tick


def noted_in(path: Path) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in path.read_text().splitlines()] if path.exists() else []


def graph_of(tmp_path: Path, policy: str, deterministic: bool) -> Scheduler:
    scheduler = Scheduler(tick_rate=200, recording="r", deterministic=deterministic)
    scheduler.add(Node(name="sensor", tick=noting(tmp_path / "noted"), pubs="t", rate=200, failure_policy=policy))
    scheduler.add(
        Node(name="ear", tick=lambda node: node.send("heard", node.recv_all("t")), subs="t", pubs="heard", rate=200)
    )
    return scheduler


@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])
def test_a_node_that_is_killed_ends_the_graph_under_fatal(
    tmp_path: Path, recordings: Path, deterministic: bool
) -> None:
    scheduler = graph_of(tmp_path, "fatal", deterministic)
    with running(scheduler) as raised:
        wait_until(lambda: len(noted_in(tmp_path / "noted")) > 30, what="the 30th tick")
        pid = scheduler.get_node_stats("sensor")["pid"]
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: raised, what="the graph's end")
        assert time.monotonic() - killed < 1.5, "within a second, and what this machine adds"
    (problem,) = raised
    assert isinstance(problem, NodeFailed)
    assert re.fullmatch(r"node 'sensor' was killed by SIGKILL in tick \d+; the graph has ended", str(problem))
    sent = noted_in(tmp_path / "noted")
    recorded = session_values(recordings / "r", "sensor")
    assert [value for _, value in recorded][: len(sent)] == sent, "everything that it had sent"
    assert len(recorded) <= len(sent) + 1
    files = scheduler.stop_recording()
    (crash,) = events(files, "crash")
    assert crash.node == "sensor"
    assert "SIGKILL" in crash.detail["reason"]


@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])
def test_a_node_that_is_killed_is_started_again_under_restart(
    tmp_path: Path, recordings: Path, deterministic: bool
) -> None:
    scheduler = graph_of(tmp_path, "restart", deterministic)
    with running(scheduler) as raised:
        for kill in range(2):
            pids = wait_until(lambda: {pid for pid, _ in noted_in(tmp_path / "noted")}, what="the first tick")
            wait_until(
                lambda before=kill: len({pid for pid, _ in noted_in(tmp_path / "noted")}) > before, what="its process"
            )
            pid = scheduler.get_node_stats("sensor")["pid"]
            count = wait_until(
                lambda pid=pid: len([each for each in noted_in(tmp_path / "noted") if each[0] == pid]) > 10,
                what="its ticks",
            )
            assert count
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(
                lambda before=pids | {pid}: {each for each, _ in noted_in(tmp_path / "noted")} - before,
                what="the new process's first tick",
            )
            assert time.monotonic() - killed < 3.0, "a back-off of 0.1 or 0.2 s, and a start"
        last = noted_in(tmp_path / "noted")[-1][0]
        wait_until(
            lambda: len([each for each in noted_in(tmp_path / "noted") if each[0] == last]) > 10, what="some more ticks"
        )
    assert raised == []
    assert scheduler.get_node_stats("sensor")["restarts"] == 2
    sent = noted_in(tmp_path / "noted")
    recorded = [value for _, value in session_values(recordings / "r", "sensor")]
    assert [each for each in recorded if each in sent] == sent
    assert len(recorded) <= len(sent) + 3, "a killed process may have sent one more that it did not note"
    assert [tick for _, tick in recorded] == sorted(tick for _, tick in recorded)
    heard = [each for _, found in session_values(recordings / "r", "ear") for each in found]
    assert heard == recorded[: len(heard)], "its subscriber had all of it, in order"
    assert len(heard) >= len(recorded) - 2
    files = scheduler.stop_recording()
    assert [event.event for event in events(files) if event.event in ("crash", "restart")] == ["crash", "restart"] * 2
    ticks = [row.tick for row in ran(files, "ear")]
    assert ticks == sorted(set(ticks))
    assert len(ticks) >= 30


def test_a_node_that_always_dies_is_given_up() -> None:
    policy = horus.Restart(times=2, first=0.01)
    scheduler = Scheduler(tick_rate=100, deterministic=True)
    scheduler.add(Node(name="mayfly", tick=lambda: os._exit(9), rate=100, failure_policy=policy))
    with pytest.raises(NodeFailed, match=r"node 'mayfly' exited with code 9, for the 3rd time"):
        scheduler.run(duration=60)
    assert scheduler.get_node_stats("mayfly")["restarts"] == 2


def test_a_node_that_leaves_by_exit_is_named_with_its_code() -> None:
    def tick() -> None:
        if horus.tick() == 5:
            os._exit(7)

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording=True)
    scheduler.add(Node(name="leaver", tick=tick, rate=100)).add(Node(name="other", tick=lambda: None, rate=100))
    with pytest.raises(NodeFailed, match=r"node 'leaver' exited with code 7 in tick 5; the graph has ended"):
        scheduler.run(duration=60)
    assert [event.detail["reason"] for event in events(scheduler.stop_recording(), "crash")] == ["exited with code 7"]


def test_a_node_stuck_beyond_its_watchdog_is_killed_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def tick(node: Node) -> None:
        node.send("t", os.getpid())
        if horus.tick() == 5:
            while True:
                time.sleep(1)

    scheduler = Scheduler(tick_rate=100, recording=True, deterministic=True)
    scheduler.add(Node(name="stuck", tick=tick, pubs="t", rate=100, watchdog=0.3, failure_policy="restart"))
    scheduler.run(duration=0.2)
    files = scheduler.stop_recording()
    kinds = [event.event for event in events(files) if event.node == "stuck"]
    assert [kind for kind in kinds if kind in ("watchdog", "crash", "restart")] == ["watchdog", "crash", "restart"]
    assert events(files, "watchdog")[0].tick == 5
    assert "stuck" in caplog.text
    pids = [value for _, value in session_values(Path(files[0]).parent, "stuck")]
    assert len(set(pids)) == 2


def test_what_does_not_end_by_itself_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    """One sleeps in its tick when the graph ends, one ignores SIGTERM too, one leaves a thread behind."""
    forever = threading.Event

    def deaf() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def sleep_on() -> None:
        if horus.tick() == 3:
            forever().wait()

    def leave_a_thread() -> None:
        threading.Thread(target=forever().wait).start()

    scheduler = Scheduler(tick_rate=100, recording="r")
    scheduler.add(Node(name="asleep", tick=sleep_on, rate=100)).add(
        Node(name="deaf", tick=sleep_on, init=deaf, rate=100)
    )
    scheduler.add(Node(name="threaded", tick=lambda: None, init=leave_a_thread, rate=100))
    scheduler.run(duration=0.1)
    told = [record.getMessage() for record in caplog.records if "has not ended yet" in record.getMessage()]
    assert [re.findall(r"node '(\w+)'.*sending (SIG\w+)", line)[0] for line in told] == [
        ("asleep", "SIGTERM"),
        ("deaf", "SIGTERM"),
        ("deaf", "SIGKILL"),
    ]
    signals = events(scheduler.stop_recording(), "signal")
    assert [(event.node, event.detail["signal"]) for event in signals] == [
        ("asleep", "SIGTERM"), ("deaf", "SIGTERM"), ("deaf", "SIGKILL"),
    ]  # fmt: skip
    assert events(scheduler.stop_recording(), "crash") == [], "they did not end by themselves"
    assert not [child for child in psutil.Process().children() if "horus:" in " ".join(child.cmdline())]


# The recorder.


@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])
def test_a_recorder_that_is_killed_is_replaced_and_nothing_is_lost(
    tmp_path: Path, recordings: Path, deterministic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = graph_of(tmp_path, "fatal", deterministic)
    with running(scheduler) as raised:
        killed: set[int] = set()
        for _ in range(2):
            recorder = wait_until(
                lambda: next(
                    (each for each in psutil.Process().children() if is_recorder(each) and each.pid not in killed), None
                ),
                what="a recorder",
            )
            count = len(noted_in(tmp_path / "noted"))
            wait_until(lambda count=count: len(noted_in(tmp_path / "noted")) > count + 60, what="some ticks")
            recorder.kill()
            killed.add(recorder.pid)
        count = len(noted_in(tmp_path / "noted"))
        wait_until(lambda: len(noted_in(tmp_path / "noted")) > count + 60, what="some more ticks")
    assert raised == []
    sent = noted_in(tmp_path / "noted")
    recorded = [value for _, value in session_values(recordings / "r", "sensor")]
    assert recorded == sent
    assert "the recorder was killed by SIGKILL" in caplog.text
    assert any(event.event == "recorder restarted" for event in events_of(recordings / "r"))
    again = Scheduler.replay_from(recordings / "r", execution="inline").set_replay_speed(0)
    heard: list[Any] = []
    again.add(Node(name="ear", tick=lambda node: heard.extend(node.recv_all("t")), subs="t", rate=200))
    again.set_replay_schedule("free")
    again.run()
    assert heard == sent, "the parts are one session"


@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])
def test_a_recorder_that_is_stopped_for_good_is_replaced_and_nothing_is_lost(
    tmp_path: Path,
    recordings: Path,
    deterministic: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("horus_core.recording.writing.child.STUCK_SECONDS", 1.0)
    scheduler = graph_of(tmp_path, "fatal", deterministic)
    with running(scheduler) as raised:
        wait_until(lambda: len(noted_in(tmp_path / "noted")) > 30, what="some ticks")
        first = next(each for each in psutil.Process().children() if is_recorder(each))
        first.suspend()
        wait_until(lambda: not is_recorder(first), what="its end")
        count = len(noted_in(tmp_path / "noted"))
        wait_until(lambda: len(noted_in(tmp_path / "noted")) > count + 30, what="some more ticks")
    assert raised == []
    assert [value for _, value in session_values(recordings / "r", "sensor")] == noted_in(tmp_path / "noted")
    assert "the recorder has not looked into the lanes for 1 s; killing it" in caplog.text
    assert [event.event for event in events_of(recordings / "r")].count("recorder restarted") == 1


def is_recorder(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[0].startswith("horus:recorder") and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, IndexError):
        return False


def events_of(folder: Path) -> list[Any]:
    return [
        event
        for path in folder.glob("events@*.arrow")
        for event in events([str(path)], cut=not path.read_bytes().endswith(b"ARROW1"))
    ]


# A full /dev/shm.


def test_a_lane_that_cannot_grow_is_an_error_in_the_node_and_small_messages_still_pass() -> None:
    """Only in the node's own process, and only once it runs, does reserving fail."""

    def init() -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        os.posix_fallocate = full  # type: ignore[assignment]

    def tick(node: Node) -> None:
        node.send("t", "small")
        if horus.tick() == 3:
            try:
                node.send("t", bytes(6_000_000))
            except horus.SharedMemoryFull as problem:
                node.send("t", str(problem))
        if horus.tick() == 6:
            node.send("t", bytes(6_000_000))

    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="full")
    scheduler.add(Node(name="camera", tick=tick, init=init, pubs="t", rate=100))
    with pytest.raises(NodeFailed) as caught:
        scheduler.run(duration=1)
    text = str(caught.value)
    assert text.startswith("node 'camera' raised an exception in tick 6")
    assert re.search(
        r"SharedMemoryFull: /dev/shm is too small for .*: needed [\d,]+ bytes, available [\d,]+; .*--shm-size", text
    )
    found = [value for _, value in session_values(Path(scheduler.stop_recording()[0]).parent, "camera")]
    assert [value for value in found if value == "small"] == ["small"] * 7
    assert [value for value in found if value != "small"] == [value for value in found if "too small" in value]
    assert len(found) == 8


def test_a_graph_that_does_not_fit_into_dev_shm_starts_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, real, left = set(os.listdir(SHM)), os.posix_fallocate, [4]

    def nearly_full(descriptor: int, offset: int, size: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, offset, size)

    for allowed in range(2):  # the control segment, and the events lane
        left[0] = allowed
        monkeypatch.setattr(os, "posix_fallocate", nearly_full)
        scheduler = Scheduler(tick_rate=100, recording=f"no_room_{allowed}")
        scheduler.add(Node(name="a", tick=lambda node: node.send("t", 1), pubs="t", rate=100))
        with pytest.raises(horus.SharedMemoryFull, match="needed"):
            scheduler.run(duration=0.05)
        monkeypatch.setattr(os, "posix_fallocate", real)
        mine = {name for name in set(os.listdir(SHM)) - before if graph_of_mine(name)}
        assert not mine
    assert not [child for child in psutil.Process().children() if "horus:" in " ".join(child.cmdline())]


def graph_of_mine(name: str) -> bool:
    """Whether nobody runs it: what a graph of somebody else's has there is locked."""
    from horus_core.memory.shared import graphs_in_memory

    found = re.search(r"horus-([0-9a-f]{12})-", name)
    return found is not None and graphs_in_memory().get(found[1]) is False
