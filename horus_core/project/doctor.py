"""What this machine grants a graph, and what to do about what it does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import time
from pathlib import Path

import msgspec

from horus_core.errors import UnsafeFolder
from horus_core.inspection.running_graphs import runtime_folder
from horus_core.memory.hotpath import NATIVE, WHY_NOT
from horus_core.processes.control_group import group_file, processor_quota
from horus_core.processes.home import has_no_home
from horus_core.processes.machine import capabilities
from horus_core.recording.keeping.sessions import recordings_folder

_SMALL_SHM = 256_000_000
_SMALL_DISK = 1_000_000_000
_PACKAGES = (
    "horus-supervisor",
    "click",
    "cloudpickle",
    "msgspec",
    "numpy",
    "platformdirs",
    "posix_ipc",
    "psutil",
    "pyarrow",
    "pyzmq",
    "rich",
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        grade: "ok", "limited" (works, less well than it could) or "broken" (graphs do not run).
        advice: one line about what to do, '' if there is nothing.
    """

    name: str
    value: str
    grade: str = "ok"
    advice: str = ""


def checkup() -> list[Finding]:
    """Looks at cores, limits, real-time rights, memory, clock, kernel, folders and versions."""
    granted = capabilities()
    return [
        *_cores(granted["cores"], granted["usable_cores"], granted["isolated_cores"]),
        *control_group(),
        _session_groups(),
        _real_time(granted["realtime_priority"]),
        _memory_lock(granted["memory_lock"]),
        _shared_memory(granted["shared_memory_bytes"]),
        _clock_source(),
        _timer(),
        _kernel(granted["preempt_rt"]),
        _folder("recordings", recordings_folder()),
        _runtime(),
        _hot_path(),
        Finding(name="python", value=platform.python_version()),
        *_versions(),
    ]


def _cores(there: int | None, usable: list[int], isolated: str) -> list[Finding]:
    few = len(usable) < 2
    return [
        Finding(
            name="cores",
            value=f"{len(usable)} usable of {there or '?'} ({_ranges(usable)})",
            grade="limited" if few else "ok",
            advice="with one core nothing runs in parallel: give the container or virtual machine more" if few else "",
        ),
        Finding(
            name="isolated cores",
            value=isolated or "none",
            advice="" if isolated else "isolcpus=N on the kernel's command line keeps a core for nodes with core=N",
        ),
    ]


def _ranges(numbers: list[int]) -> str:
    """Numbers as ranges.

    >>> _ranges([0, 1, 2, 5])
    '0-2, 5'
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in found)


def control_group() -> list[Finding]:
    """What this process's control group limits, which is how containers are limited."""
    processor, memory = processor_quota(), group_file("memory.max", "memory/memory.limit_in_bytes")
    # Version 1 writes "no limit" as a number that no machine has.
    limited = memory not in ("", "max") and int(memory) < 1 << 60
    return [
        Finding(
            name="processor quota",
            value="none" if processor is None else f"{processor:g} cores (cgroup)",
            grade="ok" if processor is None else "limited",
            advice=""
            if processor is None
            else "a quota stops all nodes for milliseconds at a time: pin to cores (cpuset) instead",
        ),
        Finding(name="memory limit", value=f"{int(memory):,} bytes (cgroup)" if limited else "none"),
    ]


def _session_groups() -> Finding:
    """Autogroups share a core among sessions (setsid) instead of processes. Linux 6.18 was seen to leave all processes of one
    session without a turn for up to a minute, while one of another session burned the core."""
    on = _read("/proc/sys/kernel/sched_autogroup_enabled") == "1"
    advice = "a program of another session that burns a core can starve a graph there: sysctl kernel.sched_autogroup_enabled=0"
    return Finding(
        name="session groups", value="on" if on else "off", grade="limited" if on else "ok", advice=advice if on else ""
    )


def _hot_path() -> Finding:
    advice = "it is several times faster in C: install a C compiler and Python's headers, then HORUS again"
    return Finding(
        name="hot path",
        value="in C" if NATIVE else f"in Python: {WHY_NOT}",
        grade="ok" if NATIVE else "limited",
        advice="" if NATIVE else advice,
    )


def _real_time(priority: int) -> Finding:
    advice = "for Scheduler(rt=True): CAP_SYS_NICE (docker run --cap-add=SYS_NICE), or LimitRTPRIO=99 (systemd)"
    return Finding(
        name="real-time priority",
        value=f"SCHED_FIFO up to {priority}" if priority else "not granted",
        grade="ok" if priority else "limited",
        advice="" if priority else advice,
    )


def _memory_lock(granted: bool) -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    advice = "for Scheduler(rt=True): CAP_IPC_LOCK (docker run --ulimit memlock=-1), or LimitMEMLOCK=infinity (systemd)"
    return Finding(
        name="memory lock",
        value="granted" if granted else f"limited to {limit:,} bytes",
        grade="ok" if granted else "limited",
        advice="" if granted else advice,
    )


def _shared_memory(size: int) -> Finding:
    if not os.access("/dev/shm", os.W_OK | os.X_OK):
        return Finding(
            name="/dev/shm", value="not writable", grade="broken", advice="mount a tmpfs there that this user may write"
        )
    room = os.statvfs("/dev/shm")
    small = size < _SMALL_SHM
    return Finding(
        name="/dev/shm",
        value=f"{size / 1e6:,.0f} MB, {room.f_bavail * room.f_frsize / 1e6:,.0f} MB free",
        grade="limited" if small else "ok",
        advice="little for images: docker run --shm-size=1g, or mount -o remount,size=1G /dev/shm" if small else "",
    )


def _clock_source() -> Finding:
    source = _read("/sys/devices/system/clocksource/clocksource0/current_clocksource") or "unknown"
    slow = source in ("hpet", "acpi_pm", "jiffies", "pit")
    return Finding(
        name="clock source",
        value=source,
        grade="limited" if slow else "ok",
        advice="each look at the clock costs a microsecond: clocksource=tsc on the kernel's command line, if it is stable"
        if slow
        else "",
    )


def _timer() -> Finding:
    resolution = time.clock_getres(time.CLOCK_MONOTONIC)
    coarse = resolution > 1e-6
    return Finding(
        name="timer resolution",
        value=f"{resolution * 1e9:,.0f} ns",
        grade="limited" if coarse else "ok",
        advice="ticks start late: a kernel with high-resolution timers (CONFIG_HIGH_RES_TIMERS) helps"
        if coarse
        else "",
    )


def _kernel(preempt_rt: bool) -> Finding:
    return Finding(
        name="kernel",
        value=f"{platform.release()} {platform.machine()}{', PREEMPT_RT' if preempt_rt else ''}",
        advice=""
        if preempt_rt
        else "a PREEMPT_RT kernel bounds how late a tick can start; without one it is usual times only",
    )


def _folder(name: str, folder: Path) -> Finding:
    if has_no_home(folder):
        return Finding(
            name=name,
            value="no home folder",
            grade="limited",
            advice="to record, set HORUS_RECORDINGS to a folder of yours",
        )
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.exists(each))
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            name=name,
            value=f"{folder}, not writable",
            grade="limited",
            advice="set HORUS_RECORDINGS to a folder of yours",
        )
    room = os.statvfs(there)
    free = room.f_bavail * room.f_frsize
    return Finding(
        name=name,
        value=f"{folder}, {free / 1e9:,.1f} GB free",
        grade="limited" if free < _SMALL_DISK else "ok",
        advice="little room: 'horus record clean', or another disk in HORUS_RECORDINGS" if free < _SMALL_DISK else "",
    )


def _runtime() -> Finding:
    try:
        return Finding(name="runtime folder", value=str(runtime_folder()))
    except UnsafeFolder as problem:
        return Finding(
            name="runtime folder", value=str(problem), grade="broken", advice="set XDG_RUNTIME_DIR to a folder of yours"
        )


def _versions() -> list[Finding]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(Finding(name=package, value=importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            ours = package == "horus-supervisor"
            found.append(
                Finding(
                    name=package,
                    value="from a source tree" if ours else "not installed",
                    grade="ok" if ours else "broken",
                    advice="" if ours else "pip install horus-supervisor brings it",
                )
            )
    return found


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
