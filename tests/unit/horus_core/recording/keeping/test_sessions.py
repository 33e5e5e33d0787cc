"""The folder of sessions: what is found, and what may be deleted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from horus_core.errors import InvalidValue, NotARecording, RecordingExists, RecordingMissing, SchedulerBusy
from horus_core.recording.format.names import STARTING
from horus_core.recording.keeping.listing import deletable_size, list_sessions
from horus_core.recording.keeping.sessions import delete_session, find_session, new_session_folder, session_names
from tests.recordings import Recording


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/no/such/place", "~nobody", "~nobody/x", "x" * 300, "y/" * 3000, "a\nb"]
)
def test_a_name_that_no_session_has_is_missing(name: str) -> None:
    with pytest.raises(RecordingMissing):
        find_session(name)


def test_only_sessions_are_listed_and_deleted(recordings: Path, tmp_path: Path) -> None:
    Recording({"a": ["t"]}).write(recordings / "monday")
    (recordings / "photos").mkdir()
    (recordings / "photos" / "cat.jpg").touch()
    (recordings / "link").symlink_to(tmp_path)
    assert session_names() == ["monday"]
    assert [each.name for each in list_sessions().sessions] == ["monday"]
    with pytest.raises(NotARecording):
        delete_session("photos")
    with pytest.raises(InvalidValue):
        delete_session("../recordings/monday")
    assert not delete_session("link")
    assert deletable_size("monday") > 0
    assert delete_session("monday")
    assert not delete_session("monday")
    assert sorted(path.name for path in recordings.iterdir()) == ["link", "photos"]


def test_a_folder_that_a_run_has_just_made_may_be_deleted(recordings: Path) -> None:
    (recordings / "empty").mkdir(parents=True)
    assert delete_session("empty")


def test_two_sessions_of_one_second_have_names_of_their_own(recordings: Path) -> None:
    made = [new_session_folder("run_{date}").name for _ in range(3)]
    assert len(set(made)) == 3
    assert sum(name.endswith(("_2", "_3")) for name in made) >= 1


def test_a_name_without_a_date_is_taken_once(recordings: Path) -> None:
    new_session_folder("monday")
    with pytest.raises(RecordingExists):
        new_session_folder("monday")


_STARTED = """
import os, signal, sys
from horus_core.recording.keeping.sessions import new_session_folder
folder = new_session_folder("monday")
(folder / "logs").mkdir()
print("made", flush=True)
sys.stdin.read() if sys.argv[1] == "wait" else os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_run_left_that_was_killed_while_it_started_is_listed_and_takes_no_name(recordings: Path) -> None:
    subprocess.run([sys.executable, "-c", _STARTED, "die"], timeout=60, stdout=subprocess.DEVNULL)
    assert [each.name for each in list_sessions().unreadable] == ["monday"]
    assert delete_session("monday")
    subprocess.run([sys.executable, "-c", _STARTED, "die"], timeout=60, stdout=subprocess.DEVNULL)
    assert (recordings / "monday" / "logs").is_dir()
    assert list(new_session_folder("monday").iterdir()) == [recordings / "monday" / STARTING]


def test_a_run_that_is_starting_keeps_its_name(recordings: Path) -> None:
    command = [sys.executable, "-c", _STARTED, "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert session_names() == []
        with pytest.raises(RecordingExists):
            new_session_folder("monday")
        with pytest.raises(SchedulerBusy):
            delete_session("monday")
        process.communicate(timeout=60)
