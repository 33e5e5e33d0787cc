"""The files of a session while they are written: parts, the ring of parts, and the disk's reserve."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from horus_core.recording.format.header import Header
from horus_core.recording.format.names import FILE_NAME, STARTING
from horus_core.recording.writing.batches import Batch, BatchMaker
from horus_core.recording.writing.latches import Latches
from horus_core.recording.writing.options import Recording
from horus_core.recording.writing.resume import written_latched
from horus_core.recording.writing.writer import FileWriter


class DiskReserve(OSError):
    """The disk has no more room than is to be left free."""


@dataclass
class _Part:
    number: int
    files: dict[int | str, FileWriter]  # a publisher's position, "scheduler" or "events"
    began: float

    def size(self) -> int:
        return sum(file.size() for file in self.files.values())


class Parts:
    """Writes batches into the files of a session's current part.

    Args:
        folder: the session's folder.
        header: what all files say; kind, node and part are filled in.
        maker: makes the batches.
        options: how to split and what to keep.

    Attributes:
        made_room: how many parts the ring gave up because the disk was short of room, and their bytes.
    """

    def __init__(self, folder: Path, header: Header, maker: BatchMaker, options: Recording) -> None:
        self._folder, self._header, self._maker, self._options = folder, header, maker, options
        self._kept: list[tuple[int, int, float]] = []  # number, size and end of closed parts of this process
        self._before = sum(path.stat().st_size for path in folder.glob("*.arrow"))  # by a recorder that was killed
        self._latches = Latches(header.graph, maker.publishers)
        self._beginning = False
        number = next_part(folder, header.id)
        for publisher, name in maker.publishers.items() if number else ():
            for batch in written_latched(folder, header, name):
                self._latches.note(publisher, batch)
        self._part = self._open(number)
        (folder / STARTING).unlink(missing_ok=True)
        self.made_room = (0, 0)
        self._unnamed = [folder, folder.parent]  # folders that do not have their new entries on the disk yet

    @property
    def paths(self) -> list[Path]:
        """The files of the current part, scheduler first."""
        files = self._part.files
        return [files["scheduler"].path, *(file.path for key, file in files.items() if key != "scheduler")]

    def _open(self, number: int) -> _Part:
        def make(kind: str, node: str = "") -> FileWriter:
            header = msgspec.structs.replace(self._header, kind=kind, node=node, part=number)
            return FileWriter(self._folder, header, self._options.compression)

        files: dict[int | str, FileWriter] = {"scheduler": make("scheduler")}
        for publisher, name in self._maker.publishers.items():
            files[publisher] = make("node", name)
        files["events"] = make("events")
        for publisher, rows in self._latches.batches().items():
            _begin(files[publisher], rows)
        return _Part(number, files, time.monotonic())

    def begin_with(self, batches: dict[int, pa.RecordBatch]) -> None:
        """What was sent before the first recorded tick: the last messages of latched topics are kept of it."""
        for publisher, batch in batches.items():
            self._latches.note(publisher, batch)
        self._beginning = True

    def _begin_if_due(self) -> None:
        """Before the first message that is recorded: writes what was kept of those before it."""
        if self._beginning:
            self._beginning = False
            for publisher, rows in self._latches.batches().items():
                _begin(self._part.files[publisher], rows)

    def write(self, batches: dict[int | str, Batch]) -> None:
        """Appends a batch to each file named.

        Raises:
            OSError: the disk is full, gone or read-only; a :class:`DiskReserve` before it is full.
        """
        self._check_disk(sum(batch.nbytes for batch, _, _ in batches.values()))
        if (
            self._part.size() > self._options.part_bytes
            or time.monotonic() - self._part.began > self._options.part_seconds
        ):
            self._next()
        self.append(batches)

    def append(self, batches: dict[int | str, Batch]) -> None:
        """As :meth:`write`, into the current part and into the disk's reserve."""
        self._begin_if_due()
        for key, batch in batches.items():
            if key in self._part.files:
                self._part.files[key].write(*batch)
                self._latches.note(key, batch[0])

    def sync(self) -> None:
        """Returns when the disk has everything, the files' names included."""
        for file in self._part.files.values():
            file.sync()
        while self._unnamed:
            sync_folder(self._unnamed[0])
            del self._unnamed[0]

    def size(self) -> int:
        """Bytes of all parts."""
        return self._before + self._part.size() + sum(size for _, size, _ in self._kept)

    def close(self) -> None:
        """Writes the footers."""
        problems = []
        with contextlib.suppress(OSError):
            self._begin_if_due()
        for file in self._part.files.values():
            try:
                file.close()
            except (OSError, ValueError) as problem:
                problems.append(problem)
        if problems:
            raise problems[0]

    def _next(self) -> None:
        part = self._part
        following = self._open(part.number + 1)  # first, so that the session is always locked
        size = part.size()
        self.close()
        self._kept.append((part.number, size, time.monotonic()))
        self._part = following
        self._unnamed.append(self._folder)
        self._forget_old()

    def _forget_old(self) -> None:
        """In ring mode, deletes parts that are no longer within what is kept."""
        options = self._options
        while options.ring and self._kept:
            _, _, ended = self._kept[0]
            too_large = options.keep_mb is not None and self.size() > options.keep_mb * 1e6
            too_old = options.keep_seconds is not None and time.monotonic() - ended > options.keep_seconds
            if not (too_large or too_old):
                return
            self._delete_oldest()

    def _delete_oldest(self) -> None:
        number, _, _ = self._kept.pop(0)
        for path in self._folder.iterdir():
            match = FILE_NAME.match(path.name)
            if match and int(match["part"] or 0) == number:
                path.unlink(missing_ok=True)

    def _check_disk(self, needed: int) -> None:
        disk = os.statvfs(self._folder)
        kept_free = self._options.reserve(disk.f_blocks * disk.f_frsize)
        reserve = kept_free + needed if kept_free else 0
        missing = reserve - disk.f_bavail * disk.f_frsize
        if self._options.ring and 0 < missing < self._part.size() and not self._kept:
            self._next()  # the newest is what a ring is for
        while self._options.ring and self._kept and missing > 0:
            parts, size = self.made_room
            self.made_room = parts + 1, size + self._kept[0][1]
            self._delete_oldest()
            disk = os.statvfs(self._folder)
            missing = reserve - disk.f_bavail * disk.f_frsize
        if missing > 0:
            raise DiskReserve(
                f"{self._folder} has {disk.f_bavail * disk.f_frsize:,} bytes left, and {kept_free:,.0f} are kept free; "
                f"free some, or set Recording(reserve_mb=...)"
            )


def _begin(file: FileWriter, rows: list[pa.RecordBatch]) -> None:
    for row in rows:
        tick = row.column("tick")[0].as_py()
        file.write(row, tick, tick, latched=True)


def sync_folder(folder: Path) -> None:
    """Returns when the disk has the names in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def next_part(folder: Path, identity: str) -> int:
    """The number of the next part of a session; 0 if there is none yet."""
    found = [FILE_NAME.match(name) for name in os.listdir(folder)]
    numbers = [int(match["part"] or 0) for match in found if match and match["id"] == identity]
    return max(numbers, default=-1) + 1
