"""A disk that takes its time: a recorder that waits for it is not stuck, and the stop waits for both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from horus import Node, Scheduler
from horus_core.recording.keeping.sessions import find_session
from horus_core.recording.reading.summary import summarize

SLOW_SYNC = """
#include <unistd.h>
int fsync(int file) { (void)file; usleep(1500000); return 0; }
int fdatasync(int file) { return fsync(file); }
"""


@pytest.fixture
def slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sync of the processes that are started takes 1.5 s."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a slow disk with")
    source, library = tmp_path / "slow.c", tmp_path / "slow.so"
    source.write_text(SLOW_SYNC)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=30)
    monkeypatch.setenv("LD_PRELOAD", str(library))


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("slow_disk")
def test_syncs_longer_than_the_patience_with_a_stuck_recorder_cost_nothing_and_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("horus_core.recording.writing.child.STUCK_SECONDS", 1.0)
    monkeypatch.setattr("horus_core.recording.writing.child.SAY_SECONDS", 0.5)
    scheduler = Scheduler(tick_rate=100, recording="slow", deterministic=True)
    for name in ("a", "b"):
        scheduler.add(Node(name=name, tick=lambda node: node.send(f"{node.name}/n", 1), rate=100, pubs=[f"{name}/n"]))
    scheduler.run(duration=0.5)
    session = find_session("slow")
    assert "recorder restarted" not in {event["event"] for event in session.events()}
    found = summarize(session)
    assert (found.state, found.messages, found.lost) == ("complete", 100, 0)
    assert "the recording is still being written to the disk" in caplog.text
