"""The folder of sessions: what is found, and what may be deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.errors import InvalidValue, NotARecording, RecordingMissing
from horus_core.recording.keeping.listing import deletable_size, list_sessions
from horus_core.recording.keeping.sessions import delete_session, find_session, session_names
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
