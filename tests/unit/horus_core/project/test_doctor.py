"""What the doctor makes of limits that this machine does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.processes import control_group
from horus_core.project import doctor


@pytest.mark.parametrize(
    ("files", "quota", "memory"),
    [
        ({"cpu.max": "max 100000", "memory.max": "max"}, "none", "none"),
        (
            {"cpu.max": "150000 100000", "memory.max": "1073741824"},
            "1.5 cores (cgroup)",
            "1,073,741,824 bytes (cgroup)",
        ),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "none", "none"),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, "0.5 cores (cgroup)", "none"),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "none", "none"),
        ({}, "none", "none"),
    ],
)
def test_limits_of_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], quota: str, memory: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(control_group, "GROUPS", tmp_path)
    found = {each.name: each.value for each in doctor.control_group()}
    assert found == {"processor quota": quota, "memory limit": memory}


def test_a_group_below_the_root_counts_and_so_does_the_one_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "robots" / "one"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("4096")
    (tmp_path / "robots" / "cpu.max").write_text("200000 100000")
    (tmp_path / "own").write_text("0::/robots/one\n")
    monkeypatch.setattr(control_group, "GROUPS", tmp_path)
    monkeypatch.setattr(control_group, "OWN_GROUP", tmp_path / "own")
    found = {each.name: each.value for each in doctor.control_group()}
    assert found == {"processor quota": "2 cores (cgroup)", "memory limit": "4,096 bytes (cgroup)"}


@pytest.mark.parametrize(("text", "value", "grade"), [("1", "on", "limited"), ("0", "off", "ok"), ("", "off", "ok")])
def test_a_scheduler_that_shares_cores_among_sessions_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, text: str, value: str, grade: str
) -> None:
    monkeypatch.setattr(
        doctor, "_read", lambda path: text if path == "/proc/sys/kernel/sched_autogroup_enabled" else ""
    )
    (found,) = [each for each in doctor.checkup() if each.name == "session groups"]
    assert (found.value, found.grade) == (value, grade)
    assert ("kernel.sched_autogroup_enabled=0" in found.advice) == (value == "on")
