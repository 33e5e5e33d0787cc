"""The processes that a graph started, as the kernel sees them."""

from __future__ import annotations

import os
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


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held so far, shared memory left out."""
    lines = dict(line.split(":", 1) for line in Path("/proc", str(pid), "status").read_text().splitlines() if ":" in line)
    shared = int(lines["RssShmem"].split()[0])
    return (int(lines["VmHWM"].split()[0]) - shared) * 1024
