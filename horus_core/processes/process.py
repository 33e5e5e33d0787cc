"""What a process does to itself: a child's first steps, its name, its core, its timers; see ``child`` for the other side.

A child gets its boot record through an inherited memory file, writes its reports (length-prefixed msgpack) into a pipe and
its output into another. It dies with its parent unless it asks otherwise, has a process group and a name of its own, and
runs with a fixed hash seed, so that iterating over a set is the same in every run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from horus_core.processes.offspring import ignore_interrupts

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_TIMERSLACK = 1, 15, 29


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Reporter:
    """The child's end of the report pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, kind: str, *facts: Any) -> None:
        """Sends a report; silently nothing if the parent has gone."""
        body = msgspec.msgpack.encode((kind, *facts))
        with contextlib.suppress(OSError):
            write_all(self._descriptor, len(body).to_bytes(4, "little") + body)


def enter_child(die_with_parent: bool) -> tuple[bytes, Reporter, int]:
    """What a child's ``main`` does first.

    Returns:
        The boot record, the reporter, and the parent's pid.
    """
    title, boot_fd, report_fd, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    ignore_interrupts()
    libc = ctypes.CDLL(None, use_errno=True)
    if die_with_parent:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    set_title(libc, title)
    os.set_inheritable(report_fd, False)
    with os.fdopen(boot_fd, "rb") as file:
        boot = file.read()
    return boot, Reporter(report_fd), parent


def set_title(libc: ctypes.CDLL, title: str) -> None:
    """Makes `title` the process's name in ps and top (15 bytes of it in top)."""
    libc.prctl(_PR_SET_NAME, title.encode()[:15])
    # The kernel shows what lies between arg_start and arg_end of our stack, fields 48 and 49 of /proc/self/stat.
    fields = Path("/proc/self/stat").read_text().rsplit(") ", 1)[1].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start
    if room > 1:
        shown = title.encode()[: room - 1]
        ctypes.memset(start, 0, room)
        ctypes.memmove(start, shown, len(shown))


def precise_timers() -> None:
    """Lets this thread's sleeps end on time instead of up to 50 µs late."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)


def pin(cores: Sequence[int]) -> None:
    """Pins the calling thread to `cores`."""
    os.sched_setaffinity(0, cores)
