"""Log files of nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from horus_core.errors import UnknownNode
from horus_core.execution import logs
from horus_core.execution.logs import GraphLogs, find_log, follow, last_lines, logs_folder


def test_logs_are_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = GraphLogs("0123456789ab").open("arm/left")
    assert log is not None
    log.write("one\ntwo\n")
    log.close()
    path = tmp_path / "horus" / "logs" / "0123456789ab" / "arm%2Fleft.log"
    assert last_lines(path, None) == ["one", "two"]
    assert last_lines(path, 1) == ["two"]
    assert last_lines(path, 0) == []
    assert find_log("arm/left") == path


def test_without_a_place_to_write_there_is_no_log_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert GraphLogs("0123456789ab").open("a") is None


def test_a_full_log_is_started_anew_and_the_old_one_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FULL", 100)
    made = GraphLogs("0123456789ab")
    log = made.open("a")
    assert log is not None
    for number in range(30):
        log.write(f"line {number:04}\n")
    log.close()
    old, new = made.folder / "a.log.1", made.folder / "a.log"
    assert old.stat().st_size <= 110
    assert new.stat().st_size <= 110
    assert (old.read_text() + new.read_text()).endswith("line 0028\nline 0029\n")
    there = (old.read_text() + new.read_text()).count("\n")
    assert len(new.read_text().splitlines()) < there
    assert last_lines(new, None) == [f"line {number:04}" for number in range(30 - there, 30)], "both are shown"


def test_only_the_newest_graphs_keep_their_logs() -> None:
    for number in range(logs.KEPT_GRAPHS + 5):
        folder = logs_folder() / f"{number:012x}"
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    GraphLogs("f" * 12).open("a").close()  # type: ignore[union-attr]
    kept = sorted(path.name for path in logs_folder().iterdir())
    assert kept == [f"{number:012x}" for number in range(6, logs.KEPT_GRAPHS + 5)] + ["f" * 12]


def test_an_unknown_node_is_named_with_those_that_logged() -> None:
    GraphLogs("0123456789ab").open("sensor").close()  # type: ignore[union-attr]
    with pytest.raises(UnknownNode, match=r"no node 'senso' \(it has: 'sensor'\); did you mean 'sensor'"):
        find_log("senso")


def test_following_gives_every_line_once_over_a_file_that_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FULL", 100)
    monkeypatch.setattr(logs, "_POLL_SECONDS", 0)
    made = GraphLogs("0123456789ab")
    log = made.open("a")
    assert log is not None
    log.write("before 1\nbefore 2\n")
    written = 0

    def goes_on() -> bool:
        nonlocal written
        if written < 40:
            log.write(f"line {written:04}\n")
            written += 1
        return written < 40

    assert list(follow(made.folder / "a.log", 1, goes_on)) == [
        "before 2",
        *(f"line {number:04}" for number in range(40)),
    ]
    log.close()
