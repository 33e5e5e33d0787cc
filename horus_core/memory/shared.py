"""Named memory and semaphores of one graph: in /dev/shm for processes, in this process for inline execution.

Names are ``horus-<graph id>-<what>``. The first segment, ``ctl``, is locked (shared flock) by the supervisor and by the
recorder for as long as they live; who gets the exclusive lock knows that both are gone and may sweep. It is made first and
removed last, so everything without a locked ``ctl`` is left over.

Everybody can make a name in /dev/shm. Ours is only a regular file, this user's, opened through no link; what else is called so
is passed over by all that look, and taken away by nobody.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
from pathlib import Path
from typing import Protocol

import posix_ipc

from horus_core.errors import SharedMemoryFull
from horus_core.processes.own_files import is_own_file, open_own

SHM = Path("/dev/shm")
_NAME = re.compile(r"^(?:sem\.)?horus-(?P<graph>[0-9a-f]{12})-")
_POPULATE_UP_TO = 1 << 20


class Memory(Protocol):
    """Where lanes and the control segment live."""

    def create_control(self, size: int) -> memoryview:
        """The segment ``ctl``."""

    def create(self, what: str, size: int) -> memoryview:
        """A new segment of `size` zero bytes, all of them reserved."""

    def open(self, what: str) -> memoryview:
        """The segment made as `what`."""

    def remove(self, what: str) -> None:
        """Takes the name away; who has it open keeps it. Nothing happens if there is none."""


class LocalMemory:
    """Segments of inline execution: anonymous, in this process."""

    def __init__(self) -> None:
        self._segments: dict[str, memoryview] = {}

    def create_control(self, size: int) -> memoryview:
        return self.create("ctl", size)

    def create(self, what: str, size: int) -> memoryview:
        self._segments[what] = memoryview(mmap.mmap(-1, max(size, 1)))
        return self._segments[what]

    def open(self, what: str) -> memoryview:
        return self._segments[what]

    def remove(self, what: str) -> None:
        self._segments.pop(what, None)


class SharedMemory:
    """Segments of a graph that runs in processes.

    Args:
        graph: the graph's id, 12 hexadecimal digits.
        read_only: what is opened cannot be written, the kernel sees to it; for those who only look.
    """

    def __init__(self, graph: str, read_only: bool = False) -> None:
        self.graph = graph
        self._read_only = read_only
        self._held: int | None = None

    @classmethod
    def new(cls) -> SharedMemory:
        """For a new graph; its id is free."""
        return cls(os.urandom(6).hex())

    def _path(self, what: str) -> Path:
        return SHM / f"horus-{self.graph}-{what}"

    def create_control(self, size: int) -> memoryview:
        """Makes `ctl`, locked before it has its name, so that no other start sweeps it; see :meth:`let_go`."""
        unnamed = SHM / f".horus-{self.graph}-new"
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._held = os.dup(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        words = self._reserve(descriptor, unnamed, "ctl", size)
        unnamed.rename(self._path("ctl"))
        return words

    def let_go(self) -> None:
        """The graph has ended here."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def create(self, what: str, size: int) -> memoryview:
        path = self._path(what)
        return self._reserve(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path, what, size)

    def _reserve(self, descriptor: int, path: Path, what: str, size: int) -> memoryview:
        try:
            # Reserves the pages: a full tmpfs is an error here, not a SIGBUS when somebody writes.
            os.posix_fallocate(descriptor, 0, size)
            return _mapped(descriptor, size)
        except OSError as problem:
            path.unlink()
            raise (_full(problem, f"segment {what!r}", size) or problem) from None
        finally:
            os.close(descriptor)

    def open(self, what: str) -> memoryview:
        descriptor = open_own(self._path(what), os.O_RDONLY if self._read_only else os.O_RDWR)
        try:
            return _mapped(descriptor, os.fstat(descriptor).st_size, self._read_only)
        finally:
            os.close(descriptor)

    def remove(self, what: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path(what).unlink()

    def hold(self) -> int:
        """Marks the graph as alive for as long as the returned descriptor is open; `ctl` must exist."""
        descriptor = open_own(self._path("ctl"), os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def semaphore(self, what: str, create: bool = False) -> posix_ipc.Semaphore:
        """The semaphore called `what`; `create` makes it, with value 0."""
        name = f"/horus-{self.graph}-{what}"
        try:
            return posix_ipc.Semaphore(name, posix_ipc.O_CREX if create else 0, mode=0o600, initial_value=0)
        except OSError as problem:
            raise (_full(problem, f"semaphore {what!r}", os.sysconf("SC_PAGESIZE")) or problem) from None

    def remove_all(self) -> None:
        """Removes every segment and semaphore of the graph, `ctl` last."""
        remove_graph(self.graph)


def _full(problem: OSError, what: str, size: int) -> SharedMemoryFull | None:
    """The error to raise instead if /dev/shm has no room for `what`."""
    if problem.errno not in (errno.ENOSPC, errno.ENOMEM):
        return None
    room = os.statvfs(SHM)
    return SharedMemoryFull(what, size, room.f_bavail * room.f_frsize)


def _mapped(descriptor: int, size: int, read_only: bool = False) -> memoryview:
    populate = mmap.MAP_POPULATE if size <= _POPULATE_UP_TO else 0
    access = mmap.PROT_READ if read_only else mmap.PROT_READ | mmap.PROT_WRITE
    return memoryview(mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | populate, prot=access))


def remove_graph(graph: str) -> None:
    """Removes what a graph has in /dev/shm."""
    control = f"horus-{graph}-ctl"
    names = [name for name, owner in _names().items() if owner == graph]
    for name in sorted(names, key=lambda name: name == control):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(SHM / name)


def graphs_in_memory() -> dict[str, bool]:
    """The ids of all graphs of this user with anything in /dev/shm; True for those that are alive."""
    return {graph: _alive(graph) for graph in sorted(set(_names().values()))}


def _names() -> dict[str, str]:
    """Our names in /dev/shm, and the ids of the graphs that they belong to."""
    found = {name: match["graph"] for name in os.listdir(SHM) if (match := _NAME.match(name))}
    return {name: graph for name, graph in found.items() if is_own_file(SHM / name)}


def sweep() -> list[str]:
    """Removes what dead graphs of this user left in /dev/shm, and only that.

    Returns:
        The ids of the graphs that were swept.
    """
    dead = [graph for graph, alive in graphs_in_memory().items() if not alive]
    for graph in dead:
        remove_graph(graph)
    return dead


def _alive(graph: str) -> bool:
    try:
        descriptor = open_own(SHM / f"horus-{graph}-ctl", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
