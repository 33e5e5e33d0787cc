"""Reads log files: the last lines of one, and what is added to it, through rotations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from horus_daemon.logfile import KEPT, rotated

_CHUNK = 1 << 16
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
_NODE = re.compile(r"^\[(?P<node>[^\[\]]{1,100})\] ")


def node_of(line: str) -> tuple[str, str]:
    """The node that printed a line of a graph's log, and what it printed.

    >>> node_of("2026-03-01T12:00:00.000Z [arm] moving")
    ('arm', 'moving')
    >>> node_of("2026-03-01T12:00:00.000Z set up")
    ('', 'set up')
    """
    text = _TIME.sub("", line)
    found = _NODE.match(text)
    return (found["node"], text[found.end() :]) if found else ("", text)


def last_lines(path: Path, count: int, node: str | None = None) -> list[str]:
    """The last lines of a log, from its older files too.

    Args:
        path: the log.
        count: at most so many.
        node: only what this node printed.

    Returns:
        The lines, oldest first; an empty list if there is no such file.
    """
    found: list[str] = []
    for number in range(KEPT + 1):
        for line in _backwards(rotated(path, number)):
            if len(found) >= count:
                return found[::-1]
            if node is None or node_of(line)[0] == node:
                found.append(line)
    return found[::-1]


def _backwards(path: Path) -> Iterator[str]:
    """The lines of a file, last first."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        end = at = file.seek(0, os.SEEK_END)
        rest = b""
        while at > 0:
            size = min(_CHUNK, at)
            file.seek(at - size)
            block = file.read(size)
            if at == end:
                block = block.removesuffix(b"\n")  # it ends the last line, and begins none
            at -= size
            rest, *lines = (block + rest).split(b"\n")
            for line in reversed(lines):
                yield line.decode(errors="replace")
        if end:
            yield rest.decode(errors="replace")


class Tail:
    """Follows a log file.

    Args:
        path: the log; it need not exist yet.
        whole: begin with what it holds already.
        most: bytes that may be unread; what is more is skipped, and counted.

    Attributes:
        skipped: bytes that were.
    """

    def __init__(self, path: Path, whole: bool = False, most: int = 1 << 20) -> None:
        self._path, self._most = path, most
        self._descriptor: int | None = None
        self._partial = b""
        self.skipped = 0
        self._open()
        if self._descriptor is not None and not whole:
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._descriptor = None

    def lines(self) -> list[str]:
        """The lines that were added since the last call, whole ones only."""
        if self._descriptor is None:
            self._open()
        found: list[str] = []
        while self._descriptor is not None:
            self._read(self._descriptor, found)
            if not self._moved_on(self._descriptor):
                break
            self._read(self._descriptor, found)  # nobody writes into it any more
            self.close()
            self._open()
        return found

    def _read(self, descriptor: int, found: list[str]) -> None:
        at, size = os.lseek(descriptor, 0, os.SEEK_CUR), os.fstat(descriptor).st_size
        if size < at:
            os.lseek(descriptor, 0, os.SEEK_SET)
        elif size - at > self._most:
            self.skipped += size - at - self._most
            os.lseek(descriptor, size - self._most, os.SEEK_SET)
            self._partial = b""
        while chunk := os.read(descriptor, _CHUNK):
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            found += (line.decode(errors="replace") for line in lines)
            if len(self._partial) > self._most:
                self.skipped += len(self._partial)
                self._partial = b""

    def _moved_on(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
