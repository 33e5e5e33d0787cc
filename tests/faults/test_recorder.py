"""The recorder under bad luck: killed, on a disk that stalls, fills or is too small, and over many parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import horus
from horus import Node, Recording, Scheduler
from horus_core.messages.encoding import Decoder
from horus_core.recording.keeping.blackbox import blackboxes, save_leftovers
from horus_core.recording.reading.reader import Session
from horus_core.recording.writing import parts as parts_module

_DECODE = Decoder("numbers").decode


def _send_three(node: Node) -> None:
    for number in range(3):
        node.send("numbers", 3 * horus.tick() + number)


def _graph(recording: Recording | str | bool, **options: Any) -> Scheduler:
    scheduler = Scheduler(tick_rate=500, deterministic=True, recording=recording, **options)
    scheduler.add(Node("source", _send_three, rate=500, pubs="numbers"))
    return scheduler.add(Node("sink", lambda node: node.recv_all("numbers"), rate=500, subs="numbers"))


def _session(scheduler: Scheduler) -> Session:
    return Session(Path(scheduler.stop_recording()[0]).parent)


def _numbers(session: Session) -> list[int]:
    """What was recorded of the source, in file order, each checked against the tick it is said to be of."""
    found = []
    for batch in session.batches("source", []):
        rows = zip(*(batch.column(each).to_pylist() for each in ("tick", "encoding", "payload")), strict=True)
        for tick, encoding, payload in rows:
            number = _DECODE(encoding, memoryview(payload))
            assert number // 3 == tick
            found.append(number)
    return found


def _events(session: Session, name: str) -> list[dict[str, Any]]:
    return [event for event in session.events() if event["event"] == name]


def _until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def _recorders() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        try:
            if any("horus:recorder" in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_recorder_that_is_killed_twice_loses_nothing() -> None:
    scheduler = _graph("killed")
    killed: list[int] = []

    def kill_twice() -> None:
        for goal in (150, 450):
            _until(lambda goal=goal: scheduler.is_running() and scheduler.current_tick() > goal)
            (process,) = _until(lambda: [each for each in _recorders() if each.pid not in killed])
            process.kill()
            killed.append(process.pid)

    killer = threading.Thread(target=kill_twice)
    killer.start()
    scheduler.run(duration=3.0)
    killer.join()
    session = _session(scheduler)
    assert len(killed) == 2
    assert _numbers(session) == list(range(3 * 1500))
    ticks = [tick for batch in session.batches("scheduler", []) for tick in batch.column("tick").to_pylist()]
    assert sorted(ticks) == sorted([*range(1500)] * 2)
    assert session.state == "recovered"
    assert len(_events(session, "recorder restarted")) == 2
    assert len(_events(session, "start")) == 1


def test_a_recorder_that_dies_with_its_disk_ends_the_recording_and_not_the_graph(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = _graph("vanished")
    folder = Path(os.environ["HORUS_RECORDINGS"]) / "vanished"

    def vanish() -> None:
        _until(lambda: scheduler.is_running() and scheduler.current_tick() > 100)
        (recorder,) = _recorders()
        recorder.suspend()
        folder.rename(folder.with_name("elsewhere"))
        recorder.kill()

    vandal = threading.Thread(target=vanish)
    vandal.start()
    scheduler.run(duration=3.0)
    vandal.join()
    assert scheduler.get_node_stats("sink")["total_ticks"] == 1500
    assert scheduler.progress()["recording_ended"] == 1
    (said,) = [record.message for record in caplog.records if "recorder stopped" in record.message]
    assert str(folder) in said
    numbers = _numbers(Session(folder.with_name("elsewhere")))
    assert numbers == list(range(len(numbers)))


@pytest.fixture
def stalled_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Writing waits until the event is set."""
    goes_on = threading.Event()
    write = parts_module.Parts.append

    def wait_and_write(self: parts_module.Parts, batches: Any) -> None:
        assert goes_on.wait(30)
        write(self, batches)

    monkeypatch.setattr(parts_module.Parts, "append", wait_and_write)
    yield goes_on
    goes_on.set()


def test_no_message_is_lost_while_the_disk_stalls(stalled_disk: threading.Event) -> None:
    scheduler = _graph("stalled", execution="inline", pace=False)
    scheduler.tick_for(4.0)
    stalled_disk.set()
    session = _session(scheduler)
    assert _numbers(session) == list(range(3 * 2000))
    assert session.state == "complete"


def test_beyond_the_memory_bound_whole_ticks_are_left_out_and_written_down(stalled_disk: threading.Event) -> None:
    scheduler = _graph(Recording(name="dropped", memory_mb=0.2), execution="inline", pace=False)
    _until(lambda: _step(scheduler)._gap is not None)
    stalled_disk.set()
    _until(lambda: _step(scheduler)._gap is None)
    session = _session(scheduler)
    numbers = _numbers(session)
    (gap,) = [event["detail"] for event in _events(session, "gap")]
    detail = json.loads(gap)
    present = {number // 3 for number in numbers}
    assert detail["messages"] > 0
    assert len(numbers) + detail["messages"] == 3 * scheduler.current_tick()
    assert all(numbers.count(3 * tick + each) == 1 for tick in list(present)[:50] for each in range(3))
    assert present == set(range(scheduler.current_tick())) - set(range(detail["first"], detail["last"] + 1))


def _step(scheduler: Scheduler) -> Any:
    """Runs some ticks; the recorder."""
    scheduler.tick_for(0.1)
    engine: Any = scheduler._run.engine
    return engine._recorder


def test_with_block_the_graph_waits_and_nothing_is_lost(stalled_disk: threading.Event) -> None:
    scheduler = _graph(Recording(name="blocked", memory_mb=0.2, overflow="block"), execution="inline", pace=False)
    threading.Timer(0.5, stalled_disk.set).start()
    scheduler.tick_for(6.0)
    session = _session(scheduler)
    assert _numbers(session) == list(range(3 * 3000))
    assert not _events(session, "gap")


def test_below_the_disk_reserve_the_recording_ends_and_the_graph_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = _graph(Recording(name="reserve", reserve_mb=1e12))
    scheduler.run(duration=0.5)
    session = _session(scheduler)
    assert scheduler.get_node_stats("source")["total_ticks"] == 250
    assert _numbers(session) == []
    assert session.state == "complete"
    (event,) = _events(session, "recording ended")
    assert "kept free" in event["detail"]
    assert any("recorder stopped" in record.message and "reserve_mb" in record.message for record in caplog.records)
    assert any("kept free" in each for each in scheduler.degradations())


def test_what_was_written_reaches_the_disk_though_the_graph_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []  # the size of the source's file at each sync
    sync = parts_module.Parts.sync

    def note(self: parts_module.Parts) -> None:
        sync(self)
        synced.append(self._part.files[0].size())

    monkeypatch.setattr(parts_module.Parts, "sync", note)
    scheduler = _graph("held", execution="inline", pace=False)
    scheduler.tick_for(0.5)
    engine: Any = scheduler._run.engine
    path = engine._recorder._main._part.files[0].path
    _until(lambda: [engine._recorder.poll(), path.stat().st_size > 3 * 250 * 8][1])  # the ticks' numbers alone
    _until(lambda: synced and synced[-1] == path.stat().st_size)
    scheduler.stop_recording()


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("never thought of"), OSError(5, "Input/output error")])
def test_a_writer_that_fails_for_any_reason_says_so_and_the_graph_goes_on(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr(parts_module.Parts, "sync", fail)
    scheduler = _graph("odd", execution="inline", pace=False)
    scheduler.tick_for(0.2)
    _until(lambda: _step(scheduler).failure is not None)
    scheduler.tick_for(0.2)
    assert scheduler.progress()["recording_ended"] == 1
    session = _session(scheduler)
    assert session.state == "complete"
    numbers = _numbers(session)
    assert numbers == list(range(len(numbers)))
    assert len(_events(session, "recording ended")) == 1
    said = [record.message for record in caplog.records if "recorder stopped" in record.message]
    assert len(said) == 1
    assert (str(problem) or type(problem).__name__) in said[0]


def test_a_recorder_does_not_end_with_a_service_but_with_its_graph() -> None:
    scheduler = _graph("terminated")

    def terminate() -> None:
        _until(lambda: scheduler.is_running() and scheduler.current_tick() > 50)
        (recorder,) = _recorders()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            recorder.send_signal(number)

    sender = threading.Thread(target=terminate)
    sender.start()
    scheduler.run(duration=0.6)
    sender.join()
    session = _session(scheduler)
    assert session.state == "complete"
    assert _numbers(session) == list(range(3 * 300))
    assert not _events(session, "recorder restarted")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_ends_the_recording_properly(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORUS_RECORDINGS", str(small_disk))
    scheduler = Scheduler(tick_rate=100, deterministic=True, recording="full")
    scheduler.add(Node("camera", lambda node: node.send("frame", bytes(50_000)), rate=100, pubs="frame"))
    scheduler.run(duration=1.0)
    assert scheduler.get_node_stats("camera")["total_ticks"] == 100
    session = _session(scheduler)
    frames = [len(each) for batch in session.batches("camera", []) for each in batch.column("payload").to_pylist()]
    assert 0 < len(frames) < 100
    assert set(frames) == {50_000}
    assert session.state == "complete"
    assert len(_events(session, "recording ended")) == 1


def test_a_disk_without_any_room_left_keeps_what_was_written(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORUS_RECORDINGS", str(small_disk))
    scheduler = Scheduler(tick_rate=100, deterministic=True, recording=Recording(name="full", reserve_mb=0))
    scheduler.add(Node("camera", lambda node: node.send("frame", bytes(50_000)), rate=100, pubs="frame"))
    scheduler.run(duration=1.0)
    assert scheduler.get_node_stats("camera")["total_ticks"] == 100
    session = _session(scheduler)
    damage: list[Any] = []
    frames = [len(each) for batch in session.batches("camera", damage) for each in batch.column("payload").to_pylist()]
    assert len(frames) > 20
    assert set(frames) == {50_000}


@pytest.mark.parametrize("keep_mb", [4, 40], ids=["of several parts", "whose first part is not full"])
def test_a_ring_on_a_disk_short_of_room_gives_up_its_oldest_and_says_so(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, keep_mb: int
) -> None:
    monkeypatch.setenv("HORUS_RECORDINGS", str(small_disk))
    recording = Recording(name="ring", keep_mb=keep_mb, reserve_mb=1)
    scheduler = Scheduler(tick_rate=100, deterministic=True, recording=recording)
    scheduler.add(Node("camera", lambda node: node.send("frame", bytes(50_000)), rate=100, pubs="frame"))
    scheduler.run(duration=2.0)
    session = _session(scheduler)
    ticks = [tick for batch in session.batches("camera", []) for tick in batch.column("tick").to_pylist()]
    assert ticks == list(range(ticks[0], 200))
    assert ticks[0] > 0
    assert session.state == "complete"
    assert _events(session, "oldest parts deleted")
    assert not _events(session, "recording ended")
    assert len([record for record in caplog.records if "short of room" in record.message]) == 1
    assert any("short of room" in each for each in scheduler.degradations())


def test_parts_open_alone_and_together_and_the_ring_keeps_the_last() -> None:
    scheduler = _graph(Recording(name="parts", split_seconds=0.5))
    scheduler.run(duration=2.0)
    files = scheduler.stop_recording()
    session = _session(scheduler)
    assert len({Path(each).name.split(".")[-2] for each in files}) >= 3
    assert _numbers(session) == list(range(3 * 1000))

    ring = _graph(Recording(name="ring", split_seconds=0.2, keep_seconds=0.4))
    ring.run(duration=2.0)
    kept = _numbers(_session(ring))
    assert kept == list(range(kept[0], 3 * 1000))
    assert kept[0] > 0
    assert len(kept) < 3 * 750


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_recording_holds_the_same(compression: str) -> None:
    scheduler = _graph(Recording(name=compression, compression=compression), pace=False)
    scheduler.run(duration=1.0)
    assert _numbers(_session(scheduler)) == list(range(3 * 500))


def test_the_flight_recorder_is_saved_when_a_node_fails_and_holds_the_end() -> None:
    def fail(node: Node) -> None:
        node.recv_all("numbers")
        if horus.tick() == 600:
            raise ValueError("the bug of the week")

    scheduler = Scheduler(tick_rate=500, deterministic=True, blackbox_mb=1, name="robot")
    scheduler.add(Node("source", _send_three, rate=500, pubs="numbers"))
    scheduler.add(Node("sink", fail, rate=500, subs="numbers"))
    with pytest.raises(horus.NodeFailed, match="the bug of the week"):
        scheduler.run(duration=3.0)
    (folder,) = [
        each for each in Path(os.environ["HORUS_RECORDINGS"]).iterdir() if each.name.startswith("blackbox_robot")
    ]
    numbers = _numbers(Session(folder))
    assert numbers[-1] == 3 * 600 + 2
    assert numbers == list(range(numbers[0], 3 * 601))
    assert not blackboxes()


def test_the_flight_recorder_saves_all_that_was_sent_before_it_was_asked() -> None:
    scheduler = Scheduler(tick_rate=500, deterministic=True, pace=False, blackbox_mb=4, name="robot")
    scheduler.add(Node("source", _send_three, rate=500, pubs="numbers"))
    try:
        for ticks in (20, 40):
            scheduler.tick_for(20 / 500)
            assert _numbers(Session(scheduler.save_blackbox(f"after_{ticks}"))) == list(range(3 * ticks))
    finally:
        scheduler.stop()


def test_the_flight_recorder_survives_the_death_of_every_process(tmp_path: Path) -> None:
    script = tmp_path / "robot.py"
    script.write_text(
        "import horus\n"
        "from horus import Node, Scheduler\n"
        "scheduler = Scheduler(tick_rate=200, deterministic=True, blackbox_mb=1, name='robot')\n"
        "scheduler.add(Node('source', lambda node: node.send('numbers', 3 * horus.tick()), rate=200, pubs='numbers'))\n"
        "scheduler.run(duration=60)\n"
    )
    root = str(Path(horus.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.DEVNULL
    )
    try:
        files = _until(
            lambda: [path for box in blackboxes() for path in box.glob("source@*") if path.stat().st_size > 20_000]
        )
        family = psutil.Process(process.pid).children(recursive=True)
        for each in (*family, psutil.Process(process.pid)):
            each.send_signal(signal.SIGKILL)
        process.wait(10)
        _until(lambda: not any(blackboxes().values()))
        assert files[0].exists()
        (saved,) = save_leftovers()
        numbers = _numbers(Session(saved))
        assert len(numbers) > 20
        assert numbers == [3 * tick for tick in range(len(numbers))]
        assert not blackboxes()
    finally:
        process.kill()
        process.wait(10)
