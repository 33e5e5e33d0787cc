"""Log files that stay small: NAME.log, and up to five older ones NAME.log.1 (the youngest) to NAME.log.5.

A log never stops who writes it. What cannot be written (a full disk) is lost, and counted in the next line that can be.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

LIMIT = 10 << 20  # bytes of one file
KEPT = 5
_RETRY_SECONDS = 1.0


def rotated(path: Path, number: int) -> Path:
    """Where the `number`-th youngest older file is."""
    return path.with_name(f"{path.name}.{number}") if number else path


class RotatedFile:
    """A log file.

    Args:
        path: where.
        mode: of new files.
        limit: bytes from which a new one is begun.
        kept: how many older ones are kept.
        opened: called with the descriptor of each file that is begun.
    """

    def __init__(
        self,
        path: Path,
        mode: int = 0o600,
        limit: int = LIMIT,
        kept: int = KEPT,
        opened: Callable[[int], None] | None = None,
    ) -> None:
        self.path, self._mode, self._limit, self._kept = path, mode, limit, kept
        self._opened = opened or (lambda descriptor: None)
        self._descriptor: int | None = None
        self._lost, self._retry_at = 0, 0.0
        self.reopen()

    def reopen(self) -> None:
        """Opens the file at `path`, which may be another one than before."""
        before, self._descriptor = self._descriptor, None
        if before is not None:
            os.close(before)
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, self._mode)
            os.fchmod(self._descriptor, self._mode)
            self._opened(self._descriptor)

    def write(self, data: bytes) -> None:
        """Appends `data`, whole lines, to the current file or the next."""
        if self._descriptor is None or self._lost:
            if time.monotonic() < self._retry_at:
                self._lost += len(data)
                return
            if self._descriptor is None:
                self.reopen()
        if self._descriptor is not None and os.fstat(self._descriptor).st_size + len(data) > self._limit:
            self._rotate()
        note = f"({self._lost} bytes of this log could not be written)\n".encode() if self._lost else b""
        try:
            if self._descriptor is None:
                raise FileNotFoundError
            _write_all(self._descriptor, note + data)
            self._lost = 0
        except OSError:
            self._lost += len(data)
            self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _rotate(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(self._kept - 1, -1, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(rotated(self.path, number), rotated(self.path, number + 1))
            self.reopen()

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def timestamp() -> str:
    """The time for a log line, in UTC."""
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03}Z"


class LogStream(io.RawIOBase):
    """What ``sys.stdout`` and ``sys.stderr`` of a graph write into: puts the time before each line. Its writes never fail."""

    def __init__(self, file: RotatedFile, descriptor: int) -> None:
        self._file, self._number, self._begun = file, descriptor, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: object) -> int:
        given = bytes(data)  # type: ignore[call-overload]
        if given:
            before = f"{timestamp()} ".encode()
            *lines, rest = given.split(b"\n")
            made = bytearray()
            for line in lines:
                made += (b"" if self._begun else before) + line + b"\n"
                self._begun = False
            if rest:
                made += (b"" if self._begun else before) + rest
                self._begun = True
            self._file.write(bytes(made))
        return len(given)
