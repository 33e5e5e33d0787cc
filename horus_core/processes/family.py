"""What a process has started and left, seen from outside: its process group, ended whole.

One member is spared: the resource tracker of Python's multiprocessing. It ends by itself when all others have, and takes away
the shared memory and semaphores that they had made; killed, it would leave them for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_TRACKER = b"resource_tracker import main"
_ROUNDS = 10  # who forks faster than that is left


def is_tracker(pid: int) -> bool:
    """Whether a process is a resource tracker of multiprocessing."""
    try:
        return _TRACKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end_family(group: int) -> None:
    """Kills all processes of a process group but trackers, at once; nothing happens if there is no such group."""
    for _ in range(_ROUNDS):
        members = _members(group)
        others = [pid for pid in members if not is_tracker(pid)]
        if len(others) == len(members):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
            return
        if not others:
            return
        for pid in others:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _members(group: int) -> list[int]:
    """The ids of those in a process group that have not ended."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):  # it has just ended
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b") ")[2].split()
                if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                    found.append(int(name))
    return found
