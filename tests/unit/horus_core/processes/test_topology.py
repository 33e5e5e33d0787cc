"""What the kernel's files say of cores, and which of them nodes are spread over."""

from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.processes import control_group
from horus_core.processes.topology import Topology


def machine(root: Path, siblings: dict[int, str], caches: dict[int, str], isolated: str = "") -> Path:
    """A /sys with these cores."""
    for core, text in siblings.items():
        folder = root / f"devices/system/cpu/cpu{core}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text + "\n")
    for core, text in caches.items():
        for index, (level, shared) in enumerate([(1, str(core)), (3, text), (2, str(core))]):
            folder = root / f"devices/system/cpu/cpu{core}/cache/index{index}"
            folder.mkdir(parents=True)
            (folder / "level").write_text(f"{level}\n")
            (folder / "shared_cpu_list").write_text(shared + "\n")
    (root / "devices/system/cpu/isolated").write_text(isolated + "\n")
    return root


def test_siblings_caches_isolated_cores_and_the_quota_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = tmp_path / "cgroup"
    groups.mkdir()
    (groups / "cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(control_group, "GROUPS", groups)
    monkeypatch.setattr(control_group, "OWN_GROUP", tmp_path / "none")
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
    caches = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
    root = machine(tmp_path, siblings, caches, isolated="3")
    found = Topology.here([0, 1, 2, 3], root)
    assert found.siblings == {0: {0, 2}, 1: {1, 3}, 2: {0, 2}, 3: {1, 3}}
    assert found.caches == {0: {0, 1}, 1: {0, 1}, 2: {2, 3}, 3: {2, 3}}
    assert (found.isolated, found.quota) == ({3}, 1.5)


def test_a_kernel_that_tells_nothing_leaves_every_core_on_its_own(tmp_path: Path) -> None:
    found = Topology.here([4, 7], tmp_path)
    assert (found.siblings, found.caches) == ({4: {4}, 7: {7}}, {4: {4}, 7: {7}})
    assert found.isolated == frozenset()


@pytest.mark.parametrize("text", ["x", "1-", "0-b", "max 100000", "-1", "1,,2 "])
def test_files_that_hold_something_else_count_as_nothing(tmp_path: Path, text: str) -> None:
    root = machine(tmp_path, {0: text}, {0: text}, isolated=text)
    found = Topology.here([0], root)
    assert 0 in found.siblings[0]
    assert found.usable([0]) == [0]


def test_nodes_are_spread_over_no_isolated_core_and_over_as_many_as_the_quota_keeps_busy() -> None:
    cores = [0, 1, 2, 3]
    assert Topology(isolated=frozenset({2, 3})).usable(cores) == [0, 1]
    assert Topology(isolated=frozenset(cores)).usable(cores) == cores
    assert Topology(quota=1.5).usable(cores) == [0, 1]
    assert Topology(quota=0.2).usable(cores) == [0]
    assert Topology(quota=64.0).usable(cores) == cores


def test_whole_cores_come_before_second_hardware_threads() -> None:
    pairs = {0: frozenset({0, 1}), 1: frozenset({0, 1}), 2: frozenset({2, 3}), 3: frozenset({2, 3})}
    assert Topology(siblings=pairs, quota=2).usable([0, 1, 2, 3]) == [0, 2]
    assert Topology(siblings=pairs, quota=3).usable([0, 1, 2, 3]) == [0, 1, 2]
