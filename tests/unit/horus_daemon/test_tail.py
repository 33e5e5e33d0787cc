"""Reading logs: their end, and what is added, through rotations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_daemon import tail
from horus_daemon.logfile import RotatedFile
from horus_daemon.tail import Tail, last_lines


def test_the_last_lines_come_from_older_files_too(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = RotatedFile(path, limit=50, kept=5)
    for number in range(20):
        file.write(b"line %02d\n" % number)
    file.close()
    assert (tmp_path / "a.log.2").exists()
    assert last_lines(path, 15) == [f"line {number:02}" for number in range(5, 20)]
    assert last_lines(path, 0) == []
    assert last_lines(tmp_path / "none.log", 5) == []


def test_the_lines_of_one_node_are_found_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        "".join(f"2026-03-01T12:00:00.000Z [{name}] says {name}\n" for name in ("arm", "leg", "arm", "head"))
    )
    assert [line.split("Z ")[1] for line in last_lines(path, 9, "arm")] == ["[arm] says arm", "[arm] says arm"]


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=20), max_size=30),
    chunk=st.integers(1, 50),
    count=st.integers(0, 40),
    ended=st.booleans(),
)
def test_lines_are_found_from_the_end_whatever_the_size_of_a_chunk(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], chunk: int, count: int, ended: bool
) -> None:
    path = tmp_path_factory.mktemp("tail") / "a.log"
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    path.write_bytes(text.encode())
    expected = text.encode().split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "_CHUNK", chunk)
        assert last_lines(path, count) == [line.decode() for line in expected][max(0, len(expected) - count) :]


def test_a_tail_gives_what_is_added_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    followed = Tail(path)
    assert followed.lines() == []
    with path.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert followed.lines() == ["one"]
        file.write("o\n")
    assert followed.lines() == ["two"]
    followed.close()


def test_a_tail_follows_through_rotations(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file, followed, found = RotatedFile(path, limit=40, kept=5), Tail(path), []
    for number in range(50):
        file.write(b"line %02d\n" % number)
        if number % 3 == 0:
            found += followed.lines()
    found += followed.lines()
    file.close()
    followed.close()
    assert found == [f"line {number:02}" for number in range(50)]


def test_a_tail_of_a_file_to_come_begins_with_its_first_line(tmp_path: Path) -> None:
    followed = Tail(tmp_path / "a.log")
    assert followed.lines() == []
    (tmp_path / "a.log").write_text("one\n")
    assert followed.lines() == ["one"]
    followed.close()


def test_a_file_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("a long line that goes\n")
    followed = Tail(path)
    path.write_text("new\n")
    assert followed.lines() == ["new"]
    followed.close()


def test_what_is_far_behind_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("")
    followed = Tail(path, most=100)
    path.write_text("x" * 899 + "\n" + "y" * 99 + "\n")
    assert followed.lines() == ["y" * 99]
    assert followed.skipped == 900
    followed.close()
