"""Log files stay small, keep their mode, and never stop who writes."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from horus_daemon.logfile import LogStream, RotatedFile, rotated


def test_a_full_file_makes_room_for_the_next_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "robot.log"
    file = RotatedFile(path, limit=100, kept=3)
    for number in range(60):
        file.write(b"line %03d ---------\n" % number)  # 20 bytes: five a file
    file.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "robot.log",
        "robot.log.1",
        "robot.log.2",
        "robot.log.3",
    ]
    kept = b"".join(rotated(path, number).read_bytes() for number in (3, 2, 1, 0))
    assert kept == b"".join(b"line %03d ---------\n" % number for number in range(40, 60))


def test_files_have_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        file = RotatedFile(tmp_path / "a.log", mode=0o640, limit=10)
        file.write(b"0123456789\n")
        file.write(b"0123456789\n")
        file.close()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(each.stat().st_mode) for each in sorted(tmp_path.iterdir())] == [0o640, 0o640, 0o640]


def test_descriptors_follow_to_the_next_file(tmp_path: Path) -> None:
    opened: list[str] = []
    file = RotatedFile(
        tmp_path / "a.log", limit=5, opened=lambda each: opened.append(os.readlink(f"/proc/self/fd/{each}"))
    )
    file.write(b"abcdef\n")
    file.write(b"abcdef\n")
    file.close()
    assert opened == [str(tmp_path / "a.log")] * 3


def test_a_full_disk_loses_lines_and_says_how_much_when_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatedFile(tmp_path / "a.log")
    file.write(b"before\n")
    write, clock = os.write, [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    file.write(b"lost 1\n")
    file.write(b"lost 2\n")
    monkeypatch.setattr(os, "write", write)
    file.write(b"lost 3\n")  # it is not tried again at once
    clock[0] += 2.0
    file.write(b"after\n")
    file.close()
    assert (tmp_path / "a.log").read_text() == "before\n(21 bytes of this log could not be written)\nafter\n"


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "none" / "a.log")
    file.write(b"lost\n")
    file.close()


def test_a_log_that_was_moved_away_is_begun_anew_on_reopen(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = RotatedFile(path)
    file.write(b"one\n")
    path.rename(tmp_path / "away")
    file.reopen()
    file.write(b"two\n")
    file.close()
    assert path.read_bytes() == b"two\n"


def test_a_link_at_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "a.log").symlink_to(tmp_path / "target")
    file = RotatedFile(tmp_path / "a.log")
    file.write(b"one\n")
    file.close()
    assert (tmp_path / "target").read_text() == ""


def test_a_stream_puts_the_time_before_each_line(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "a.log")
    stream = io.TextIOWrapper(LogStream(file, 1), "utf-8", "backslashreplace", line_buffering=True)
    print("one", file=stream)
    print("two\nthr", end="", file=stream, flush=True)
    print("ee", file=stream)
    print("\udcff ü", file=stream)
    stream.flush()
    text = (tmp_path / "a.log").read_text()
    time_ = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
    assert re.sub(time_, "T ", text) == "T one\nT two\nT three\nT \\udcff ü\n"
    assert len(re.findall(time_, text)) == 4
    assert stream.fileno() == 1
    stream.detach()
    file.close()
