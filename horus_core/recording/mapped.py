"""A regular file in memory, read through the page cache."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

from horus_core.errors import NotARecording, RecordingMissing

_RELEASE = 4 << 20


class MappedFile:
    """A map of a regular file: what was checked is what is mapped, whatever is put in its place meanwhile.

    Args:
        path: the file; no symbolic link, FIFO, device or folder, and not empty.
        limit: how many bytes of it, at most.

    Attributes:
        view: all of its bytes.

    Raises:
        RecordingMissing, NotARecording: see their words.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        descriptor = _opened(path)
        try:
            size = _checked_size(path, descriptor)
            if limit:
                size = min(size, limit)
            self._map: mmap.mmap | None = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        self.view = memoryview(self._map)
        self._released = 0

    def release(self, stop: int) -> None:
        """Gives the pages before `stop` back to the page cache, so that memory in use stays small.

        They still read: a page that is touched again comes back.
        """
        stop = stop // mmap.PAGESIZE * mmap.PAGESIZE
        if stop < self._released:
            self._released = 0
        if self._map is not None and stop - self._released > _RELEASE:
            self._map.madvise(mmap.MADV_DONTNEED, self._released, stop - self._released)
            self._released = stop

    def close(self) -> None:
        """Forgets the map; what was read from it stays valid."""
        self._map = None
        self.view = memoryview(b"")


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise RecordingMissing(str(path), "'horus record list' shows what there is") from None
    except OSError as problem:
        if path.is_symlink():
            raise NotARecording(str(path), "a symbolic link", "give the file itself") from None
        raise RecordingMissing(str(path), f"it cannot be opened ({problem.strerror})") from None
    except ValueError:
        raise RecordingMissing(repr(str(path)), "no file can have such a name") from None


def _checked_size(path: Path, descriptor: int) -> int:
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise NotARecording(str(path), "a folder", "give the scheduler@... file in it, or the session's name")
    if not stat.S_ISREG(found.st_mode):
        raise NotARecording(str(path), "not a regular file", "give a recording's .arrow file")
    if found.st_size == 0:
        raise NotARecording(str(path), "an empty file", "give a recording's .arrow file")
    return found.st_size
