"""What this machine grants: cores, priorities, memory."""

from __future__ import annotations

import os
import platform
import resource
from typing import Any


def capabilities() -> dict[str, Any]:
    """What a graph can have on this machine.

    Returns:
        cores and usable_cores, realtime_priority (the highest SCHED_FIFO priority, 0 for none), memory_lock (whether all
        memory may be locked), preempt_rt, isolated_cores, shared_memory_bytes (size of /dev/shm), kernel, python.
    """
    room = os.statvfs("/dev/shm")
    return {
        "cores": os.cpu_count(),
        "usable_cores": sorted(os.sched_getaffinity(0)),
        "realtime_priority": _highest_priority(),
        "memory_lock": os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY,
        "preempt_rt": "PREEMPT_RT" in platform.version(),
        "isolated_cores": _read("/sys/devices/system/cpu/isolated"),
        "shared_memory_bytes": room.f_blocks * room.f_frsize,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _highest_priority() -> int:
    """The priority that SCHED_FIFO is granted with, found by asking for it and going back at once."""
    before, param = os.sched_getscheduler(0), os.sched_getparam(0)
    for priority in (os.sched_get_priority_max(os.SCHED_FIFO), resource.getrlimit(resource.RLIMIT_RTPRIO)[0]):
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except (OSError, OverflowError, ValueError):
            continue
        os.sched_setscheduler(0, before, param)
        return priority
    return 0


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
