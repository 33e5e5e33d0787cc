"""What the control group of this process limits, which is how containers are limited; versions 1 and 2.

Source: Documentation/admin-guide/cgroup-v2.rst of Linux.
"""

from __future__ import annotations

from pathlib import Path

GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def processor_quota() -> float | None:
    """Cores' worth of time that the control group grants; None for no limit."""
    second = group_file("cpu.max", "").split()
    if len(second) == 2:
        return None if second[0] == "max" else int(second[0]) / int(second[1])
    quota, period = group_file("", "cpu/cpu.cfs_quota_us"), group_file("", "cpu/cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def group_file(second: str, first: str) -> str:
    """A file of this process's control group: its name in version 2, and in version 1."""
    if second:
        group = next((line[3:] for line in _read(OWN_GROUP).splitlines() if line.startswith("0::")), "/")
        inner = GROUPS / group.lstrip("/")
        for folder in (inner, *(each for each in inner.parents if GROUPS in (each, *each.parents))):
            if found := _read(folder / second):
                return found
    return _read(GROUPS / first) if first else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
