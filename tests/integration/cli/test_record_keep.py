"""``horus record trim``, ``merge``, ``rename``, ``repair``, ``delete`` and ``clean``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from horus_core.recording.keeping.clean import CleanReport
from horus_core.recording.keeping.edit import EditReport
from horus_core.recording.keeping.listing import Listing
from horus_core.recording.keeping.repair import RepairReport
from horus_core.recording.keeping.sessions import shown_name
from horus_core.recording.reading.reader import Session
from tests.horus_command import COMMAND, PATIENCE, Here, environment, horus, lines_of, refused
from tests.recordings import Recording, flip

DAY = 86_400


def write(folder: Path, node: str = "sensor", topic: str = "scan", **changes: Any) -> Session:
    """A node that sends a number in each of ten ticks."""
    return Recording({node: [topic]}, **changes).add(node, topic, list(range(10))).write(folder)


def days_ago(days: float) -> int:
    """In ns since 1970."""
    return round((time.time() - days * DAY) * 1e9)


def at_terminal(*arguments: str) -> pexpect.spawn:
    """The command, with a person."""
    terminal = environment(TERM="xterm")
    return pexpect.spawn(COMMAND[0], [*COMMAND[1:], *arguments], env=terminal, timeout=PATIENCE, encoding="utf-8")


def ended(child: pexpect.spawn) -> int:
    """Reads to the end; the exit code."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None, child.signalstatus
    return child.exitstatus


def test_trim_makes_a_session_of_some_ticks(recordings: Path) -> None:
    write(recordings / "monday")
    report = horus("record", "trim", "monday", "bug", "--start-tick", "3", "--stop-tick", "5", "--json").json(
        EditReport
    )
    assert (report.session, report.first_tick, report.last_tick, report.messages) == ("bug", 3, 5, 3)
    assert "ticks:    3 (3 to 5)" in horus("record", "info", "bug").out
    assert "exists already" in refused("record", "trim", "monday", "bug", "--start-tick", "3")
    assert "--start-tick" in refused("record", "trim", "monday", "other")
    assert "ticks 0 to 9" in refused("record", "trim", "monday", "other", "--start-tick", "10")


def test_trim_takes_times_nodes_and_topics(recordings: Path, here: Here) -> None:
    made = Recording({"left": ["camera/left", "state"], "right": ["camera/right"]})
    made.add("left", "camera/left", range(10)).add("left", "state", range(10)).add("right", "camera/right", range(10))
    made.write(recordings / "monday")
    line = ["record", "trim", "monday"]
    times = here.horus(*line, "a", "--start-time", "0.03", "--stop-time", "0.055", "--json").json(EditReport)
    assert (times.first_tick, times.last_tick, times.messages) == (3, 5, 9)
    assert here.horus(*line, "b", "--nodes", "l*", "--json").json(EditReport).messages == 20
    assert here.horus(*line, "c", "--topics", "camera/*", "--json").json(EditReport).messages == 20
    assert "not recorded: state" in " ".join(here.horus("record", "info", "c").out.split())
    assert "not both" in here.refused(*line, "d", "--start-tick", "3", "--start-time", "0.03")
    assert "did you mean 'left'" in here.refused(*line, "d", "--nodes", "lift")


def test_merge_makes_a_session_of_the_nodes_of_two(recordings: Path) -> None:
    write(recordings / "a")
    write(recordings / "b", "driver", "speed", id="0c1d")
    assert horus("record", "merge", "a", "b", "both").out.startswith("made both: ticks 0 to 9, 20 messages")
    assert sorted(Session(recordings / "both").nodes) == ["driver", "sensor"]
    assert "'sensor'" in refused("record", "merge", "a", "a", "twice")


def test_rename_gives_another_name(recordings: Path) -> None:
    write(recordings / "monday")
    assert horus("record", "rename", "monday", "first try").out == "monday is now first try\n"
    assert [path.name for path in recordings.iterdir()] == ["first try"]
    assert "the session name" in refused("record", "rename", "first try", "../x")


def test_repair_says_what_is_kept_and_what_is_lost(recordings: Path) -> None:
    path = write(recordings / "monday").node_files("sensor")[0].path
    os.truncate(path, path.stat().st_size - 600)
    said = horus("record", "repair", "monday").out
    assert f"{path}: kept" in said
    assert "monday is whole again" in said
    assert Session(recordings / "monday").state == "complete"
    report = horus("record", "repair", "monday", "--json").json(RepairReport)
    assert report.files == []
    assert "nothing to repair" in horus("record", "repair", "monday").out


def test_repair_counts_what_is_lost_in_rows_ticks_and_time(recordings: Path) -> None:
    path = (
        write(recordings / "monday").node_files("sensor")[0].path
    )  # ten messages, at 100 Hz, in batches of 4, 4 and 2
    flip(path, path.read_bytes().index(b"\x04\x05\x06\x07") * 8)
    said = " ".join(horus("record", "repair", "monday").out.split())
    assert f"{path}: kept 6 rows, ticks 0 to 9" in said
    assert "4 rows lost; at most 4 ticks (40 ms) lost" in said
    assert "monday is whole again: 10 ticks, 6 messages, 4 messages missing" in said


def test_repair_does_not_call_whole_what_it_had_to_leave_alone(recordings: Path) -> None:
    path = write(recordings / "monday").node_files("sensor")[0].path
    path.unlink()
    os.mkfifo(path)
    outcome = horus("record", "repair", "monday")
    assert "is not a regular file" in outcome.err
    assert "monday has nothing that can be repaired: 1 file left alone" in outcome.out
    assert "whole" not in outcome.out


def test_delete_asks_a_person(recordings: Path) -> None:
    write(recordings / "monday")
    child = at_terminal("record", "delete", "monday")
    child.expect(r"Delete monday \([\d.]+ kB\)\? \[y/N\]")
    child.sendline("n")
    child.expect("nothing deleted")
    assert ended(child) == 0
    assert (recordings / "monday").is_dir()
    child = at_terminal("record", "delete", "monday")
    child.expect(r"\[y/N\]")
    child.sendline("y")
    child.expect("deleted monday")
    assert ended(child) == 0
    assert not (recordings / "monday").exists()


def test_an_answer_that_does_not_come_deletes_nothing(recordings: Path) -> None:
    write(recordings / "monday")
    child = at_terminal("record", "delete", "monday")
    child.expect(r"\[y/N\]")
    child.sendcontrol("c")
    while child.expect(
        [pexpect.EOF, pexpect.TIMEOUT], timeout=1
    ):  # readline misses one that comes just before it waits
        child.sendcontrol("c")
    assert ended(child) == 130
    assert (recordings / "monday").is_dir()


def test_delete_refuses_in_a_pipe_without_yes(recordings: Path) -> None:
    write(recordings / "monday")
    assert "--yes" in refused("record", "delete", "monday")
    assert (recordings / "monday").is_dir()
    assert horus("record", "delete", "monday", "--yes").out.startswith("deleted monday")
    assert list(recordings.iterdir()) == []


def test_delete_takes_several_or_none(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b")
    assert "'zzz'" in here.refused("record", "delete", "a", "zzz", "--yes")
    assert (recordings / "a").is_dir()
    here.horus("record", "delete", "a", "b", "--yes")
    assert list(recordings.iterdir()) == []


def test_delete_takes_a_session_that_cannot_be_read(recordings: Path, here: Here) -> None:
    for path in write(recordings / "bad").paths():
        os.truncate(path, 3)
    here.horus("record", "delete", "bad", "--yes")
    assert not (recordings / "bad").exists()


def test_delete_leaves_alone_what_is_no_session(recordings: Path, tmp_path: Path, here: Here) -> None:
    (recordings / "photos").mkdir(parents=True)
    (recordings / "photos" / "cat.jpg").touch()
    write(tmp_path / "elsewhere")
    (tmp_path / "pictures").mkdir()
    (recordings / "link").symlink_to(tmp_path / "pictures")
    assert "without recordings" in here.refused("record", "delete", "photos", "--yes")
    assert "no recording" in here.refused("record", "delete", "link", "--yes")
    assert "the session name" in here.refused("record", "delete", str(tmp_path / "elsewhere"), "--yes")
    assert (recordings / "photos" / "cat.jpg").exists()
    assert (tmp_path / "elsewhere").is_dir()


def test_of_a_linked_session_the_link_is_deleted(recordings: Path, tmp_path: Path, here: Here) -> None:
    session = write(tmp_path / "elsewhere")
    recordings.mkdir(exist_ok=True)
    for name, target in (("link", session.folder), ("dangling", tmp_path / "nowhere")):
        (recordings / name).symlink_to(target)
        here.horus("record", "delete", name, "--yes")
        assert not (recordings / name).is_symlink()
    assert len(Session(session.folder).node_files("sensor")) == 1


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "bad\udcff", "c1\x9b", " x"])
def test_a_session_of_any_name_is_shown_renamed_and_deleted(recordings: Path, here: Here, name: str) -> None:
    write(recordings / "made").folder.rename(recordings / name)
    shown = shown_name(name)
    assert here.horus("record", "list").out.splitlines()[1].startswith(f"{shown} ")
    assert shown.isprintable()
    assert here.horus("record", "list", "--json").json(Listing).sessions[0].ticks == 10
    assert f"session:  {shown}" in here.horus("record", "info", shown).out
    here.horus("record", "info", shown, "--json")
    here.horus("record", "rename", shown, "plain")
    (recordings / "plain").rename(recordings / name)
    here.horus("record", "delete", shown, "--yes")
    assert list(recordings.iterdir()) == []
    write(recordings / "made").folder.rename(recordings / name)
    here.horus("record", "clean", "--max-size", "0", "--yes")
    assert list(recordings.iterdir()) == []


def test_clean_deletes_what_is_too_old(recordings: Path) -> None:
    for name, days in (("old", 40.0), ("new", 0.0)):
        write(recordings / name, created_ns=days_ago(days))
    dry = horus("record", "clean", "--max-age-days", "30", "--dry-run")
    assert [row[0] for row in lines_of(dry.out)[:2]] == ["session", "old"]
    assert "would delete 1 session" in dry.out
    assert "--yes" in horus("record", "clean", "--max-age-days", "30", code=2).err
    assert sorted(path.name for path in recordings.iterdir()) == ["new", "old"]
    report = horus("record", "clean", "--max-age-days", "30", "--yes", "--json").json(CleanReport)
    assert ([each.name for each in report.deleted], report.kept) == (["old"], 1)
    assert [path.name for path in recordings.iterdir()] == ["new"]


def test_clean_keeps_the_newest_that_fit(recordings: Path, here: Here) -> None:
    for name, days in (("a", 3.0), ("b", 2.0), ("c", 1.0)):
        write(recordings / name, created_ns=days_ago(days))
    size = sum(path.stat().st_size for path in (recordings / "a").iterdir())
    here.horus("record", "clean", "--max-size", str(size * 1.5 / 1e9), "--yes")
    assert [path.name for path in recordings.iterdir()] == ["c"]


def test_clean_asks_a_person_and_shows_what_would_go(recordings: Path) -> None:
    write(recordings / "old", created_ns=days_ago(40))
    child = at_terminal("record", "clean", "--max-age-days", "30")
    child.expect("old")
    child.expect(r"Delete 1 session \([\d.]+ kB\)\? \[y/N\]")
    child.sendline("n")
    assert ended(child) == 0
    assert (recordings / "old").is_dir()


def test_clean_with_nothing_to_do_needs_no_answer(recordings: Path, here: Here) -> None:
    write(recordings / "new", created_ns=days_ago(1))
    assert "nothing to delete; 1 session" in here.horus("record", "clean", "--max-age-days", "30").out
    assert "--max-age-days" in here.refused("record", "clean")


@pytest.mark.parametrize("bound", ["--max-age-days=-1", "--max-size=x"])
def test_clean_refuses_a_bound_that_is_none(bound: str, here: Here) -> None:
    assert bound.partition("=")[0] in here.refused("record", "clean", bound)
