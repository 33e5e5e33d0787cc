"""The bytes of a regular file, as they were when it was opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from horus_core.errors import NotARecording, RecordingMissing

_WINDOW = 1 << 18  # what is read at once: some hundred small frames, or the head of a large one


class FileContent:
    """Reads a regular file in pieces. What is checked is what is read, whatever is put in its place meanwhile.

    Not through a memory map: where a mapped file shrinks, its reader is killed.

    Args:
        path: the file; no symbolic link, FIFO, device or folder, and not empty.
        limit: how many bytes of it, at most.

    Attributes:
        size: how many bytes there are.

    Raises:
        RecordingMissing, NotARecording: see their words.
    """

    _descriptor = -1

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self._descriptor = _opened(path)
        self._window, self._start = memoryview(b""), 0
        try:
            self.size = _checked_size(path, self._descriptor)
        except BaseException:
            self.close()
            raise
        if limit:
            self.size = min(self.size, limit)

    def read(self, start: int, stop: int) -> memoryview:
        """The bytes from `start` to `stop`; fewer where the file ends. They stay valid whatever is read later."""
        stop = min(stop, self.size)
        if self._start <= start and stop <= self._start + len(self._window):
            return self._window[start - self._start : stop - self._start]
        if stop - start > _WINDOW:
            return memoryview(os.pread(self._descriptor, max(stop - start, 0), start))
        self._window, self._start = (
            memoryview(os.pread(self._descriptor, min(_WINDOW, self.size - start), start)),
            start,
        )
        return self._window[: max(stop - start, 0)]

    def close(self) -> None:
        """Closes the file; what was read stays valid."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


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
