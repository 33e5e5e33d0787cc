from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.errors import InvalidValue
from horus_core.recording.keeping.clean import clean
from horus_core.recording.keeping.sessions import session_names
from horus_core.recording.writing.writer import FileWriter
from tests.recordings import EPOCH, Recording, replace_header

DAY = 86_400


@pytest.fixture
def sizes(recordings: Path) -> dict[str, int]:
    """Sessions of 1, 5 and 30 days, and a folder that is none; gives their sizes."""
    found = {}
    for name, age in (("new", 1), ("middle", 5), ("old", 30)):
        created = EPOCH - age * DAY * 10**9
        found[name] = (
            Recording({"n": ["t"]}, created_ns=created).add("n", "t", range(age)).write(recordings / name).size()
        )
    (recordings / "notes").mkdir()
    (recordings / "notes" / "text").write_text("keep me")
    return found


def now() -> float:
    return EPOCH / 1e9


def test_sessions_older_than_asked_for_go(sizes: dict[str, int], recordings: Path) -> None:
    report = clean(max_age_days=4, clock=now)
    assert [(each.name, each.why) for each in report.deleted] == [("old", "age"), ("middle", "age")]
    assert report.deleted[0].age_days == pytest.approx(30)
    assert report.freed == sizes["old"] + sizes["middle"]
    assert (report.kept, report.kept_size) == (1, sizes["new"])
    assert session_names() == ["new"]
    assert (recordings / "notes" / "text").read_text() == "keep me"


def test_the_oldest_go_until_the_rest_is_small_enough(sizes: dict[str, int]) -> None:
    report = clean(max_size=sizes["new"] + sizes["middle"], clock=now)
    assert [(each.name, each.why) for each in report.deleted] == [("old", "size")]
    assert session_names() == ["middle", "new"]
    assert clean(max_size=0, clock=now).kept == 0


def test_a_dry_run_says_the_same_and_deletes_nothing(sizes: dict[str, int]) -> None:
    dry = clean(max_age_days=4, max_size=0, dry_run=True, clock=now)
    assert session_names() == ["middle", "new", "old"]
    assert dry.dry_run
    assert (
        [each.name for each in dry.deleted]
        == [each.name for each in clean(4, 0, clock=now).deleted]
        == ["old", "middle", "new"]
    )


def test_a_running_session_is_never_touched(sizes: dict[str, int], recordings: Path) -> None:
    session = Recording({"n": ["t"]}, created_ns=0).write(recordings / "running")
    writer = FileWriter(session.folder, replace_header(session.header, "scheduler"))
    report = clean(max_age_days=0, max_size=0, clock=now)
    assert report.running == ["running"]
    assert session_names() == ["running"]
    writer.close()


def test_a_session_that_cannot_be_opened_goes_by_the_age_of_its_folder(recordings: Path) -> None:
    folder = recordings / "broken"
    folder.mkdir(parents=True)
    (folder / "scheduler@00.arrow").write_text("nonsense")
    assert clean(max_age_days=1).deleted == []
    assert [each.name for each in clean(max_age_days=1, clock=lambda: folder.stat().st_mtime + 2 * DAY).deleted] == [
        "broken"
    ]


def test_what_cannot_be_deleted_is_said_and_the_rest_goes(
    sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from horus_core.recording.keeping import sessions

    def stubborn(name: str) -> bool:
        if name == "old":
            raise PermissionError(13, "Permission denied")
        return sessions.delete_session(name)

    monkeypatch.setattr("horus_core.recording.keeping.clean.delete_session", stubborn)
    report = clean(max_age_days=4, clock=now)
    assert list(report.failed) == ["old"]
    assert [each.name for each in report.deleted] == ["middle"]
    assert session_names() == ["new", "old"]


def test_links_to_folders_elsewhere_are_left_alone(sizes: dict[str, int], recordings: Path, tmp_path: Path) -> None:
    Recording({"n": ["t"]}, created_ns=0).write(tmp_path / "elsewhere")
    (recordings / "link").symlink_to(tmp_path / "elsewhere")
    clean(max_age_days=0, clock=now)
    assert (tmp_path / "elsewhere").is_dir()
    assert (recordings / "link").is_symlink()


def test_bounds_that_make_no_sense_are_refused() -> None:
    for options in ({}, {"max_age_days": -1}, {"max_size": -1}, {"max_age_days": float("nan")}):
        with pytest.raises(InvalidValue):
            clean(**options)
