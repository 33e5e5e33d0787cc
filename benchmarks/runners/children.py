"""The processes that a graph started, as the kernel sees them."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def child(title: str) -> int:
    """The id of our child whose command line holds `title`, for example ``horus:recorder``."""
    for task in Path("/proc/self/task").iterdir():
        for word in (task / "children").read_text().split():
            if title in Path("/proc", word, "cmdline").read_bytes().decode(errors="replace"):
                return int(word)
    raise LookupError(f"no child is called {title}")


def cpu_ns(pid: int) -> int:
    """What all threads of a process have had of the processor."""
    tasks = Path("/proc", str(pid), "task")
    return sum(int((tasks / task / "schedstat").read_text().split()[0]) for task in os.listdir(tasks))


def private_bytes(pid: int) -> int:
    """The memory that is a process's own: neither files nor shared memory, which others hold as well."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class PeakMemory:
    """Watches the private memory of one process: of ours, or of the child whose command line holds `title`.

    Attributes:
        most: bytes, the most that was seen.
    """

    def __init__(self, title: str = "") -> None:
        self._title, self._done = title, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.most = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        pid = 0 if self._title else os.getpid()
        while not self._done.wait(0.01):
            try:
                pid = pid or child(self._title)
                self.most = max(self.most, private_bytes(pid))
            except (LookupError, OSError):
                pid = 0 if self._title else pid
