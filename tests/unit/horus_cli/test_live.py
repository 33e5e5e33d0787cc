"""The live line, without a terminal and on one that is made up."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator

import pytest

from horus_cli.live import LiveLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    made = Terminal()
    with contextlib.redirect_stdout(made), contextlib.redirect_stderr(made):
        yield made


def drawn_twice(line: list[str]) -> tuple[LiveLine, threading.Event]:
    """A live line that takes its texts from `line`, and an event for when the last of them was asked for."""
    asked = threading.Event()

    def text() -> str:
        if len(line) == 1:
            asked.set()
            return line[0]
        return line.pop(0)

    return LiveLine(text), asked


def test_the_line_is_drawn_in_one_place_and_wiped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_terminal(monkeypatch) as terminal:
        line, asked = drawn_twice(["tick 1", "tick 2", "tick 3"])
        with line:
            assert asked.wait(10)
    assert terminal.getvalue().startswith("\rtick 1\x1b[K\rtick 2\x1b[K")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_what_is_printed_replaces_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_terminal(monkeypatch) as terminal:
        line, asked = drawn_twice(["tick 1", "tick 1"])
        with line:
            assert asked.wait(10)
            print("hello")
        assert isinstance(sys.stdout, Terminal)
    assert "\rtick 1\x1b[K\r\x1b[Khello\n" in terminal.getvalue()


def test_an_unfinished_line_is_not_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, again = threading.Event(), threading.Event()

    def text() -> str:
        (again if asked.is_set() else asked).set()
        return "tick"

    with at_terminal(monkeypatch) as terminal, LiveLine(text):
        print("half", end="")
        assert asked.wait(10)
        again.clear()
        assert again.wait(10)
        print(" done")
    assert "half done\n" in terminal.getvalue()


def test_without_a_terminal_nothing_is_drawn() -> None:
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream), LiveLine(lambda: "tick"):
        print("line", file=sys.stderr)
    assert stream.getvalue() == "line\n"
