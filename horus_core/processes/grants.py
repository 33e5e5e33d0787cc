"""What a process asks of the kernel for itself: real-time priority, locked memory; and the limits that it sets itself."""

from __future__ import annotations

import os
import resource


def limit_resources(memory_mb: float | None, open_files: int | None) -> None:
    """Sets the limits of this process: MB of data, and file descriptors; None for none."""
    for what, limit in (
        (resource.RLIMIT_DATA, None if memory_mb is None else round(memory_mb * 1e6)),
        (resource.RLIMIT_NOFILE, open_files),
    ):
        if limit is not None:
            resource.setrlimit(what, (limit, limit))


def ask_for_real_time(priority: int | None, lock_memory: bool) -> list[str]:
    """Asks for a SCHED_FIFO `priority` and for locked memory; returns what was not granted, a line each."""
    problems = []
    if priority is not None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as problem:
            problems.append(
                f"no SCHED_FIFO priority {priority}: {problem.strerror}; it needs CAP_SYS_NICE or an rtprio limit"
            )
    if lock_memory:
        import ctypes

        if ctypes.CDLL(None, use_errno=True).mlockall(3):
            problems.append(
                f"memory is not locked: {os.strerror(ctypes.get_errno())}; it needs CAP_IPC_LOCK or a memlock limit"
            )
    return problems
