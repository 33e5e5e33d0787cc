"""One line at the bottom of the terminal that is always up to date, while others print above it."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO, cast

from horus_cli import show

_EVERY_SECONDS = 0.2


class LiveLine:
    """Draws a line on stderr, a few times a second, from a thread of its own, for as long as the block runs.

    What anybody in this process prints meanwhile appears above it. Without a terminal nothing is drawn.

    Args:
        text: makes the line; called in the thread.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._drawn = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._terminal = sys.stderr
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._unfinished = False  # somebody has printed a line's beginning
        self._there = False
        self._thread = threading.Thread(target=self._keep, name="horus-live-line", daemon=True)

    def __enter__(self) -> LiveLine:
        if self._drawn:
            self._streams = sys.stdout, sys.stderr
            self._echo = _without_echoed_controls(self._terminal)
            sys.stdout, sys.stderr = (cast(TextIO, _Above(each, self)) for each in self._streams)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._over.set()
            self._thread.join()
            self._erase()
            sys.stdout, sys.stderr = self._streams
            self._echo()

    def _keep(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            line = self._text()
            with self._lock:
                if not self._unfinished:
                    self._there = True
                    self._write(f"\r{line[: show.columns() - 1]}\x1b[K")

    def _erase(self) -> None:
        if self._there:
            self._there = False
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed; the run ends in order all the same
            self._terminal.write(text)
            self._terminal.flush()

    def above(self, stream: TextIO, text: str) -> int:
        """Writes `text` where the line is, which moves on."""
        with self._lock:
            if text:
                self._erase()
                self._unfinished = not text.endswith("\n")
            written = stream.write(text)
            stream.flush()
            return written


def _without_echoed_controls(terminal: TextIO) -> Callable[[], None]:
    """Keeps the terminal from writing ``^C`` into the line; returns what puts it back.

    Nothing is done from the background, nor where whoever reads single keys has switched off all echo and minds the modes.
    """
    with contextlib.suppress(OSError, termios.error):
        descriptor = terminal.fileno()
        before = termios.tcgetattr(descriptor)
        if before[3] & termios.ECHO and os.tcgetpgrp(descriptor) == os.getpgrp():
            changed = [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]]
            termios.tcsetattr(descriptor, termios.TCSANOW, changed)
            return lambda: _put_back(descriptor, before)
    return lambda: None


def _put_back(descriptor: int, before: list[Any]) -> None:
    with contextlib.suppress(OSError, termios.error):
        if os.tcgetpgrp(descriptor) == os.getpgrp():
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


class _Above:
    """A stream whose text appears above the line."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        return self._line.above(self._stream, text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
