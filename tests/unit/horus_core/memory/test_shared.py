"""Names in /dev/shm: who may see them, who is alive, and what is swept."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import posix_ipc
import pytest

from horus_core.errors import SharedMemoryFull
from horus_core.memory import shared as shm
from horus_core.memory.shared import LocalMemory, Memory, SharedMemory

SHM = Path("/dev/shm")


@pytest.fixture
def shared() -> Iterator[SharedMemory]:
    memory = SharedMemory.new()
    yield memory
    memory.remove_all()


@pytest.fixture(params=["local", "shared"])
def memory(request: pytest.FixtureRequest, shared: SharedMemory) -> Memory:
    return LocalMemory() if request.param == "local" else shared


def names_of(graph: str) -> set[str]:
    return {name for name in os.listdir(SHM) if graph in name}


def test_a_segment_is_zero_and_everyone_who_opens_it_sees_the_same(memory: Memory) -> None:
    one = memory.create("x", 10_000)
    assert len(one) >= 10_000
    assert not any(one)
    one[5] = 7
    other = memory.open("x")
    assert other[5] == 7
    other[9999] = 9
    assert one[9999] == 9


def test_a_name_that_was_removed_is_gone_and_its_memory_stays_with_who_has_it(memory: Memory) -> None:
    one = memory.create("x", 100)
    one[0] = 1
    memory.remove("x")
    memory.remove("x")
    assert one[0] == 1
    with pytest.raises((FileNotFoundError, KeyError)):
        memory.open("x")


def test_what_was_never_made_cannot_be_opened(memory: Memory) -> None:
    with pytest.raises((FileNotFoundError, KeyError)):
        memory.open("nothing")


def test_segments_and_semaphores_are_the_users_alone(shared: SharedMemory) -> None:
    before = os.umask(0)
    try:
        shared.create("ctl", 64)
        shared.semaphore("go0", create=True)
    finally:
        os.umask(before)
    assert len(names_of(shared.graph)) == 2
    for name in names_of(shared.graph):
        assert stat.S_IMODE((SHM / name).stat().st_mode) == 0o600


def test_a_semaphore_starts_at_nothing_and_is_found_by_its_name(shared: SharedMemory) -> None:
    mine = shared.semaphore("go0", create=True)
    with pytest.raises(posix_ipc.BusyError):
        mine.acquire(0)
    shared.semaphore("go0").release()
    mine.acquire(0)
    with pytest.raises(posix_ipc.ExistentialError):
        shared.semaphore("go0", create=True)


def test_two_graphs_do_not_meet(shared: SharedMemory) -> None:
    other = SharedMemory.new()
    try:
        shared.create("0.0", 64)[0] = 1
        other.create("0.0", 64)[0] = 2
        assert (shared.open("0.0")[0], other.open("0.0")[0]) == (1, 2)
        other.remove_all()
        assert shared.open("0.0")[0] == 1
    finally:
        other.remove_all()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_a_full_dev_shm_is_an_error_with_what_was_needed_and_leaves_no_file(
    shared: SharedMemory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SharedMemoryFull) as caught:
        shared.create("3.1", 123_456_789)
    assert "123,456,789 bytes" in str(caught.value)
    room = os.statvfs(SHM)
    assert caught.value.args[2] <= room.f_blocks * room.f_frsize
    assert names_of(shared.graph) == set()


def test_more_than_dev_shm_has_is_refused_by_the_kernel_too(shared: SharedMemory) -> None:
    room = os.statvfs(SHM)
    with pytest.raises(SharedMemoryFull, match=r"docker run --shm-size"):
        shared.create("big", room.f_blocks * room.f_frsize + (1 << 30))
    assert names_of(shared.graph) == set()


def test_another_failure_is_not_called_a_full_dev_shm(shared: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="I/O error") as caught:
        shared.create("x", 64)
    assert not isinstance(caught.value, SharedMemoryFull)
    assert names_of(shared.graph) == set()


def test_a_graph_is_alive_as_long_as_somebody_holds_it(shared: SharedMemory) -> None:
    shared.create("ctl", 64)
    held = [shared.hold(), shared.hold()]  # supervisor and recorder
    for descriptor in held:
        assert shm.graphs_in_memory()[shared.graph] is True
        os.close(descriptor)
    assert shm.graphs_in_memory()[shared.graph] is False


def test_a_sweep_takes_what_dead_graphs_left_and_only_that(shared: SharedMemory) -> None:
    dead, headless = SharedMemory.new(), SharedMemory.new()
    for graph in (shared, dead):
        graph.create("ctl", 64)
        graph.create("0.0", 64)
        graph.semaphore("done", create=True)
    headless.create("7.3", 64)  # its ctl is gone already
    strangers = [SHM / f"horus-{secrets.token_hex(3)}-x", SHM / f"nothorus-{secrets.token_hex(6)}-ctl"]
    hold = shared.hold()
    try:
        for stranger in strangers:
            stranger.touch()
        swept = shm.sweep()
        assert {dead.graph, headless.graph} <= set(swept)
        assert shared.graph not in swept
        assert names_of(dead.graph) == names_of(headless.graph) == set()
        assert len(names_of(shared.graph)) == 3
        assert all(stranger.exists() for stranger in strangers)
    finally:
        os.close(hold)
        for stranger in strangers:
            stranger.unlink()


def test_a_graph_whose_processes_were_killed_is_dead(shared: SharedMemory) -> None:
    code = (
        "import sys; from horus_core.memory.shared import SharedMemory; memory = SharedMemory(sys.argv[1]);"
        "memory.create('ctl', 64); hold = memory.hold(); print('holds', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, shared.graph],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        assert shm.graphs_in_memory()[shared.graph] is True
        process.kill()
    assert shm.graphs_in_memory()[shared.graph] is False
    assert shared.graph in shm.sweep()


def test_ids_are_new_each_time() -> None:
    assert len({SharedMemory.new().graph for _ in range(100)}) == 100


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _of_another_user(path: Path) -> None:
    path.write_bytes(bytes(4096))
    os.chown(path, 12345, 12345)


FOREIGN = [_folder, _loop, _link, _pipe, *([_of_another_user] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("make", FOREIGN)
@pytest.mark.parametrize("what", ["ctl", "0.0"])
def test_a_name_that_is_not_a_file_of_ours_is_passed_over(make: Callable[[Path], None], what: str) -> None:
    graph = secrets.token_hex(6)
    path = SHM / f"horus-{graph}-{what}"
    make(path)
    try:
        assert graph not in shm.graphs_in_memory()
        assert graph not in shm.sweep()
        shm.remove_graph(graph)
        assert os.path.lexists(path)
        with pytest.raises(FileNotFoundError):
            SharedMemory(graph, read_only=True).open(what)
        with pytest.raises(FileNotFoundError):
            SharedMemory(graph).hold() if what == "ctl" else SharedMemory(graph).open(what)
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("make", FOREIGN)
def test_a_foreign_name_among_ours_keeps_nothing_of_ours_from_being_swept(make: Callable[[Path], None]) -> None:
    dead = SharedMemory.new()
    dead.create("ctl", 64)
    path = SHM / f"horus-{dead.graph}-7.0"
    make(path)
    try:
        assert dead.graph in shm.sweep()
        assert names_of(dead.graph) == {path.name}
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
