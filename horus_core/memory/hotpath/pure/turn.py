"""When it is a node's turn, and who is next, in Python."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import posix_ipc

from horus_core.memory.control import (
    H_ADMITTED,
    H_EXTERNAL,
    H_RELAY,
    H_RELEASED,
    H_SAFE_MODE,
    H_STOP,
    H_STOP_ASKED,
    N_FINISHED,
    N_STOP,
    fence,
)
from horus_core.memory.hotpath.pure.tick import TickCore
from horus_core.memory.hotpath.turn import ORPHAN, READY, SAFE, STOP

_now = time.monotonic_ns


class Turn:
    """When it is a node's turn, and who is next.

    Args:
        control, row: the control words, and where this node's begin.
        go: the semaphore that wakes this node.
        ticket: that of its tickets; None in lockstep.
        done: the coordinator's.
        parent: the supervisor's process.
        poll_ns: how long it sleeps at most before it looks whether the supervisor lives.
        spin_ns: how long it looks at the words before it sleeps.
        needs: per node to wait for, the places of its finished and excused words, its jobs per ticks (0, 0 if it runs
            whenever this one does), and 0 or 1 ticks back.
        hearers: per node that waits for this one, its semaphore and its jobs per ticks (0, 0: whenever this one runs).
        sources: the semaphores of those that begin a tick, if this node may release the next one; else empty.
        jobs, ticks: how often this node runs.
        ends: whether it wakes the coordinator.
    """

    def __init__(
        self,
        control: memoryview,
        row: int,
        go: posix_ipc.Semaphore,
        ticket: posix_ipc.Semaphore | None,
        done: posix_ipc.Semaphore,
        parent: int,
        poll_ns: int,
        spin_ns: int,
        needs: Sequence[tuple[int, int, int, int, int]],
        hearers: Sequence[tuple[posix_ipc.Semaphore, int, int]],
        sources: Sequence[posix_ipc.Semaphore],
        jobs: int,
        ticks: int,
        ends: bool,
    ) -> None:
        self._control, self._row, self._go, self._parent = control, row, go, parent
        self._poll, self._spin_ns = poll_ns * 1e-9, spin_ns
        self._needs, self._hearers, self._done, self._sources = needs, hearers, done, sources

    def run(
        self, core: TickCore, callback: Callable[..., Any], node: Any, clock: Any, tick: int, most: int
    ) -> tuple[int, int, int]:
        """Runs up to `most` ticks of a node with nothing special, from `tick` on: no safe mode, no replay, no compute.

        Returns:
            The next tick; READY, or why it stopped before; whether the callback ran in that tick, or RAISED. In Python it
            stops at once: what it would do is what :class:`Worker` does for every other node.
        """
        return tick, READY, 0

    def wait(self, tick: int, mind_safe: bool) -> int:
        """Waits until this node may run `tick`: READY, STOP, ORPHAN, or SAFE where `mind_safe` asks for it."""
        control, needs, row = self._control, self._needs, self._row
        spin_until = _now() + self._spin_ns if self._spin_ns else 0
        while True:
            released = control[H_RELEASED]
            if mind_safe and control[H_SAFE_MODE] and released >= control[H_SAFE_MODE] - 1:
                return SAFE
            if released >= tick:
                for finished, excused, jobs, ticks, back in needs:
                    needed = tick - back
                    if jobs:
                        needed = -(-(needed * jobs // ticks) * ticks // jobs)
                    if control[finished] < needed and control[excused] < needed:
                        break
                else:
                    fence()
                    return READY
            if control[H_STOP] or control[row + N_STOP]:
                return STOP
            if spin_until and _now() < spin_until:
                continue
            if not self.sleep():
                return ORPHAN

    def sleep(self) -> bool:
        """Waits for a post, but not for ever. Returns whether the supervisor lives."""
        try:
            self._go.acquire(self._poll)
        except posix_ipc.BusyError:
            return os.getppid() == self._parent
        except posix_ipc.SignalError:
            pass
        return True

    def finish(self, tick: int, end: bool) -> None:
        """`tick` is over for this node: says so, and wakes those that wait for it; with `end` also the coordinator.

        Where the coordinator has left the releases to this node, the last one of every tick, it releases the next tick
        instead.
        """
        control = self._control
        fence()
        if (
            self._sources
            and control[H_RELAY] > tick
            and not (control[H_STOP] or control[H_STOP_ASKED] or control[H_SAFE_MODE])
            and control[H_EXTERNAL] == control[H_ADMITTED]
        ):
            control[H_RELEASED] = tick + 1
            fence()
            control[self._row + N_FINISHED] = tick
            for source in self._sources:
                source.release()
            return
        control[self._row + N_FINISHED] = tick
        for go, jobs, ticks in self._hearers:
            if not jobs or -(-(tick * jobs // ticks) * ticks // jobs) == tick:
                go.release()
        if end:
            self._done.release()
