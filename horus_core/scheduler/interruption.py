"""Ctrl-C, SIGTERM and a terminal that is closed end a run in order; a second Ctrl-C ends it at once."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from horus_core.processes.signals import handling
from horus_core.scheduler.run_state import Run

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(SystemExit, KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run, in order. Caught as KeyboardInterrupt; uncaught, the exit code is 130 or 143."""


class Interruption:
    """Asks a run to end when a signal comes.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._signal = 0

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Until it is left, a stop from another thread, and a signal, asks this one."""
        self._run.thread, self._run.stop_asked = threading.get_ident(), False
        try:
            with self._handling_signals():
                yield
        finally:
            self._run.thread = None

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        self._signal = 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        free = [each for each in _SIGNALS if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler)]
        with handling(dict.fromkeys(free, self._on_signal)):
            yield

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._signal and number == signal.SIGINT:  # the others often come twice: to the process and to its group
            raise KeyboardInterrupt
        self._signal = self._signal or number
        self._run.ask_to_stop()

    def raise_if_any(self, released: bool) -> None:
        """After the run: says what ended it, if a signal did.

        Args:
            released: whether any tick was.

        Raises:
            Interrupted: a signal did.
        """
        if not self._signal:
            return
        paths = self._run.paths
        kept = f"; the recording is kept: {Path(paths[0]).parent}" if paths else ""
        when = f"after tick {self._run.next_tick - 1}" if released else "before its nodes were ready"
        with contextlib.suppress(OSError):  # a terminal that is gone
            print(f"horus: stopped by {signal.Signals(self._signal).name} {when}{kept}", file=sys.stderr)
        raise Interrupted(128 + self._signal)
