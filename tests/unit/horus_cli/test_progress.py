from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from horus_cli import progress as module
from horus_cli.progress import progress
from horus_core.recording.export import export
from horus_core.recording.reading.progress import watched
from horus_core.recording.reading.reader import Session
from tests.recordings import Recording


class Terminal(io.StringIO):
    """What takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Puts a terminal in the place of stderr: within the test, because pytest puts its own there before each phase."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm-256color")
    return found


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Recording({"n": ["t"]}).add("n", "t", list(range(200))).write(tmp_path / "s")


def test_a_bar_shows_what_was_read_and_goes(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setattr(module, "_STEP", 0.0)
    with progress("exporting", session, times=2):
        export(session, tmp_path / "x.csv")
    said = shown.getvalue()
    assert "exporting" in said
    shares = [int(word) for word in said.replace("%", " % ").split() if word.isdigit() and int(word) <= 100]
    assert max(shares) > 40
    assert said.endswith("\x1b[2K") or "\x1b[2K" in said[-30:], "the line is empty again"


def test_within_a_second_nothing_is_shown(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with progress("exporting", session):
        export(session, tmp_path / "x.csv")
    assert shown.getvalue() == ""


def test_elsewhere_than_at_a_terminal_nothing_is_shown(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = terminal(monkeypatch)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "dumb")
    with progress("exporting", session):
        export(session, tmp_path / "x.csv")
    assert shown.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("exporting", session):
        export(session, tmp_path / "x.csv")


def test_what_is_read_is_no_more_than_there_is(session: Session, tmp_path: Path) -> None:
    read: list[int] = []
    with watched(read.append):
        export(session, tmp_path / "x.csv")
    (path,) = [each for each in session.paths() if each.name.startswith("n@")]
    assert path.stat().st_size < sum(read) < 2 * path.stat().st_size, "twice, but for header and footer"
    count = len(read)
    export(session, tmp_path / "x.csv")
    assert len(read) == count, "nobody watches any more"
