"""A bar for what takes long: after a second, on a terminal, and gone when it is done."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from horus_core.recording.reading.reader import Session

_PATIENCE = 1.0  # seconds without a bar
_STEP = 0.1


@contextmanager
def progress(what: str, *sessions: Session, times: int = 1) -> Iterator[None]:
    """Shows on stderr, if that is a terminal, how much of `sessions` was read.

    Args:
        what: what is being done, as "exporting".
        sessions: what is read.
        times: how often.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    from horus_core.recording.reading.progress import watched

    bar = _Bar(what, times * sum(path.stat().st_size for session in sessions for path in session.paths()))
    try:
        with watched(bar.advance):
            yield
    finally:
        bar.end()


class _Bar:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._read = what, max(total, 1), 0
        self._due = time.monotonic() + _PATIENCE
        self._shown: Progress | None = None

    def advance(self, size: int) -> None:
        self._read += size
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _STEP
        if self._shown is None:
            self._shown = _started(self._what, self._total)
        self._shown.update(self._shown.task_ids[0], completed=min(self._read, self._total), refresh=True)

    def end(self) -> None:
        if self._shown is not None:
            self._shown.stop()


def _started(what: str, total: int) -> Progress:
    """A bar that is drawn when it is told so: a thread of its own would draw into the middle of what is said."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    found = Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True, auto_refresh=False,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    found.add_task(what, total=total)
    found.start()
    return found
