"""The supervisor's side of the recorder: starts its process, starts it again when it dies, waits for it at the end."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Callable
from typing import Any

from horus_core.errors import RecorderFailed
from horus_core.processes.child import Child, exit_reason
from horus_core.recording.writing.request import RecorderBoot

STUCK_SECONDS = 10.0  # a busy machine may let it wait for its turn, but not for that long
SAY_SECONDS, SAY_AGAIN_SECONDS = 3.0, 10.0  # until it is said that the stop waits for the disk
FINISH_SECONDS = 60.0  # without a byte written, when the graph has ended, before the rest is given up
_BACKOFF_FIRST, _BACKOFF_MOST = 0.05, 2.0
_CALM_SECONDS = 30.0  # after which a death counts as the first again


class RecorderChild:
    """The recorder's process, over its restarts.

    Args:
        name: the session's name.
        boot: makes the boot record for a start.
        tell: shows a line to the user.
        emit: writes an event into the recording.

    Attributes:
        loaded: whether it waits only for the graph's time to be settled.
        paths: the files of the current part; empty before the recorder is ready.
    """

    def __init__(
        self, name: str, boot: Callable[[], RecorderBoot], tell: Callable[[str], None], emit: Callable[..., None]
    ) -> None:
        self._name, self._boot, self._tell, self._emit = name, boot, tell, emit
        self.paths: list[str] = []
        self.loaded = False
        self._child: Child | None = None
        self._closed = False
        self._deaths: list[float] = []
        self._restart_at: float | None = None
        self._start()

    def _start(self) -> None:
        self._closed, self._restart_at = False, None
        boot = pickle.dumps(self._boot())
        self._child = Child(f"horus:recorder:{self._name}", "horus_core.recording.writing.process", boot, capture=False)

    def descriptors(self) -> list[int]:
        """What becomes readable when there is something to look at."""
        return [] if self._child is None else [self._child.reports, self._child.pidfd]

    def look(self, ready: set[int]) -> list[str]:
        """Takes reports and notices the end; starts again when that is due.

        Args:
            ready: the readable ones of :meth:`descriptors`.

        Returns:
            What went wrong, to be kept as degradations.

        Raises:
            RecorderFailed: it ended before it was ready for the first time.
        """
        problems = []
        child = self._child
        if child is not None and not ready.isdisjoint((child.reports, child.pidfd)):
            for kind, *facts in child.read_reports():
                if kind == "loaded":
                    self.loaded = True
                elif kind == "ready":
                    self.paths = list(facts[0])
                elif kind == "closed":
                    self._closed = True
                elif kind == "notice":
                    problems.append(f"the recorder: {facts[0]}")
                    self._tell(problems[-1])
                else:
                    if kind == "not started" and self.paths:  # the disk is gone: another one would find the same
                        self._closed = True
                    problems.append(str(RecorderFailed(facts[0])))
                    self._tell(problems[-1])
            if child.pidfd in ready:
                self._ended(child)
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._start()
        return problems

    def end_if_stuck(self, idle_ns: int) -> bool:
        """Kills the process if it has not looked into the lanes for too long (ns); :meth:`look` then starts another one."""
        if self._child is None or idle_ns < STUCK_SECONDS * 1e9:
            return False
        self._tell(f"the recorder has not looked into the lanes for {STUCK_SECONDS:g} s; killing it")
        self._child.signal(signal.SIGKILL)
        return True

    def _ended(self, child: Child) -> None:
        reason = exit_reason(child.wait(1.0))
        child.close()
        self._child = None
        if self._closed:
            return
        if not self.paths:
            raise RecorderFailed(f"its process {reason} before it was ready")
        now = time.monotonic()
        self._deaths = [each for each in self._deaths if now - each < _CALM_SECONDS]
        delay = min(_BACKOFF_FIRST * 2 ** len(self._deaths), _BACKOFF_MOST)
        self._deaths.append(now)
        self._restart_at = now + delay
        self._tell(f"the recorder {reason}; starting it again in {delay:g} s, it goes on from the lanes")
        self._emit("recorder restarted", reason=reason)

    @property
    def running(self) -> bool:
        """Whether it is at work, or about to be started again."""
        return self._child is not None or self._restart_at is not None

    def finish(self, housekeep: Callable[[float], Any]) -> None:
        """Waits until everything is written; `housekeep` is called meanwhile and calls :meth:`look`."""
        deadline, size = time.monotonic() + FINISH_SECONDS, self._size()
        say_at = time.monotonic() + SAY_SECONDS
        while self.running and time.monotonic() < deadline:
            housekeep(0.1)
            if self.running and time.monotonic() > say_at:
                say_at = time.monotonic() + SAY_AGAIN_SECONDS
                self._tell(
                    f"the recording is still being written to the disk ({self._size():,} bytes so far); waiting for it"
                )
            if self._size() != size:  # slow, but not stuck: up to `memory_mb` wait for a disk that may be an SD card
                deadline, size = time.monotonic() + FINISH_SECONDS, self._size()
        if self.running:
            self._tell(str(RecorderFailed(f"it has written nothing for {FINISH_SECONDS:g} s; ending it")))
            self.kill()

    def _size(self) -> int:
        """Bytes of the current part."""
        found = 0
        for path in self.paths:
            with contextlib.suppress(OSError):
                found += os.stat(path).st_size
        return found

    def kill(self) -> None:
        """Ends it at once."""
        self._restart_at = None
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            self._child.wait(1.0)
            self._child.close()
            self._child = None
