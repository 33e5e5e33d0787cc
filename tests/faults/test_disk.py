"""What happens to a disk, on a real file system: ext4 on a loop device. Needs root, mkfs.ext4 and loop devices."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import struct
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
from horus_core.inspection.running_graphs import running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import H_RELEASED
from horus_core.memory.shared import sweep
from horus_core.recording.reading.reader import Session

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_FLUSH = 2  # what was not synced is gone, as when the power is cut
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_RATE, _PER_TICK = 200, 5


class Disk:
    """An ext4 file system in a file, mounted at `folder`."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder
        self._mounted = False

    def mount(self) -> None:
        made = subprocess.run(
            ["mount", "-o", "loop,errors=remount-ro", self.image, self.folder], capture_output=True, check=False
        )
        if made.returncode:
            pytest.skip(f"cannot mount a loop device: {made.stderr.decode().strip()}")
        self._mounted = True

    def unmount(self) -> None:
        if self._mounted:
            subprocess.run(["umount", self.folder], check=True)
            self._mounted = False

    def cut_power(self) -> None:
        """From now on nothing reaches the disk, and what was not synced never will."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(descriptor)

    def become_read_only(self) -> None:
        """As after a fault of the device."""
        number = os.stat(self.folder).st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    try:
        made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs mkfs.ext4")
    if made.returncode:
        pytest.skip("cannot make an ext4 file system")
    found = Disk(image, folder)
    found.mount()
    monkeypatch.setenv("HORUS_RECORDINGS", str(folder))
    yield found
    found.unmount()


def _until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def _send(node: Node) -> None:
    for number in range(_PER_TICK):
        node.send("numbers", _PER_TICK * horus.tick() + number)


def _graph(recording: Recording | str, deterministic: bool = False) -> Scheduler:
    scheduler = Scheduler(tick_rate=_RATE, deterministic=deterministic, recording=recording, name="robot")
    scheduler.add(Node("source", _send, rate=_RATE, pubs="numbers"))
    return scheduler.add(Node("sink", lambda node: node.recv_all("numbers"), rate=_RATE, subs="numbers"))


def _sequences(session: Session) -> list[int]:
    return [each for batch in session.batches("source", []) for each in batch.column("sequence").to_pylist()]


_SCRIPT = "from tests.faults.test_disk import _graph; _graph('cut').run(duration=60)"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Whom the children of what we kill come to, so that they can be waited for."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def _cut_power_under(disk: Disk, process: subprocess.Popen[bytes]) -> int:
    """Cuts the power under the graph of `process`, which goes on; the tick that was released then."""
    graph = _until(lambda: next((each for each in running_graphs() if each.pid == process.pid), None))
    control = Attachment(graph).control
    _until(lambda: control[H_RELEASED] >= 2.3 * _RATE)
    released = int(control[H_RELEASED])
    disk.cut_power()
    _until(lambda: control[H_RELEASED] > released + 20)
    return released


def test_a_power_cut_costs_at_most_a_second(disk: Disk, subreaper: None) -> None:
    root = str(Path(horus.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.DEVNULL
    )
    family: list[psutil.Process] = []
    try:
        released = _cut_power_under(disk, process)
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(10)
        psutil.wait_procs(family, timeout=10)
        sweep()
    disk.unmount()
    disk.mount()
    session = Session(disk.folder / "cut")
    sequences = _sequences(session)
    assert session.state == "recovered"
    assert sequences == list(range(len(sequences)))
    assert released - len(sequences) / _PER_TICK <= 1.0 * _RATE


def test_no_message_is_lost_while_the_disk_stands_still(disk: Disk) -> None:
    scheduler = _graph("frozen")

    def freeze() -> None:
        _until(lambda: scheduler.current_tick() > 50)
        subprocess.run(["fsfreeze", "-f", disk.folder], check=True)
        try:
            _until(lambda: scheduler.current_tick() > 50 + 3 * _RATE)  # longer than a lane is held for the disk
        finally:
            subprocess.run(["fsfreeze", "-u", disk.folder], check=True)

    freezer = threading.Thread(target=freeze)
    freezer.start()
    scheduler.run(duration=4.0)
    freezer.join()
    session = Session(disk.folder / "frozen")
    sequences = _sequences(session)
    assert scheduler.current_tick() == 4 * _RATE
    assert sequences == list(range(scheduler.get_node_stats("source")["messages_sent"]))
    assert session.state == "complete"


def test_what_a_recorder_had_in_memory_when_it_was_killed_on_a_disk_that_stood_still_is_a_counted_gap(
    disk: Disk,
) -> None:
    scheduler = _graph("gap")

    def freeze_and_kill() -> None:
        _until(lambda: scheduler.current_tick() > 50)
        subprocess.run(["fsfreeze", "-f", disk.folder], check=True)
        try:
            _until(lambda: scheduler.current_tick() > 50 + 4 * _RATE)  # so long that the lanes are let go
            (recorder,) = (each for each in psutil.Process().children() if "horus:recorder" in " ".join(each.cmdline()))
            recorder.kill()
        finally:
            subprocess.run(["fsfreeze", "-u", disk.folder], check=True)

    freezer = threading.Thread(target=freeze_and_kill)
    freezer.start()
    scheduler.run(duration=6.0)
    freezer.join()
    session = Session(disk.folder / "gap")
    sequences = _sequences(session)
    sent = scheduler.get_node_stats("source")["messages_sent"]
    gone = sorted(set(range(sent)) - set(sequences))
    assert len(sequences) == len(set(sequences))
    assert gone == list(range(gone[0], gone[-1] + 1))  # one gap
    (event,) = [json.loads(each["detail"]) for each in session.events() if each["event"] == "lost"]
    assert (event["messages"], event["before_sequence"]) == (len(gone), gone[-1] + 1)
    assert scheduler.progress()["recorded_lost"] == len(gone)


def test_a_disk_that_becomes_read_only_ends_the_recording_and_not_the_graph(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = _graph("failing", deterministic=True)

    def fail() -> None:
        _until(lambda: scheduler.current_tick() > _RATE)
        disk.become_read_only()

    breaker = threading.Thread(target=fail)
    breaker.start()
    scheduler.run(duration=2.0)
    breaker.join()
    assert scheduler.get_node_stats("sink")["total_ticks"] == 2 * _RATE
    assert len([record for record in caplog.records if "recorder stopped" in record.message]) == 1
    disk.unmount()
    disk.mount()
    sequences = _sequences(Session(disk.folder / "failing"))
    assert sequences == list(range(len(sequences)))
    assert len(sequences) > 0


def test_a_disk_that_is_read_only_from_the_start_is_a_clear_error(disk: Disk) -> None:
    disk.become_read_only()
    with pytest.raises(horus.HorusError, match=r"cannot write .*: Read-only file system"):
        _graph("never").run(duration=0.1)
