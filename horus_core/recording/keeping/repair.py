"""Repair: makes cut and damaged files whole, and says exactly what is kept and what is lost."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from horus_core.errors import OutputFailed, RecordingError, SchedulerBusy
from horus_core.processes.own_files import make_folder_in, write_own
from horus_core.recording.format.dictionaries import with_implied_names
from horus_core.recording.format.header import Header
from horus_core.recording.format.names import file_name
from horus_core.recording.reading.counting import Count
from horus_core.recording.reading.file import Damage, RecordingFile
from horus_core.recording.reading.loss import NodeLoss
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import summarize
from horus_core.recording.reading.ticks import tick_range
from horus_core.recording.writing.writer import FileWriter, event_batch

DAMAGED = "damaged"  # folder in the session for bytes that no batch could be read from
_WORKPLACE = ".repair"


class LostRange(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file that could not be read.

    Attributes:
        first_tick, last_tick: the ticks that it may have held, -1 where unknown.
        rows: how many rows it held, -1 where unknown.
        bytes: its size.
        ticks, seconds: of the graph's time between these; at most so many are lost.
        saved_as: where its bytes are kept, '' if there were none.
        what: what was found.
    """

    first_tick: int
    last_tick: int
    rows: int
    bytes: int
    ticks: int
    seconds: float
    saved_as: str
    what: str


class FileRepair(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was made whole.

    Attributes:
        path: the file.
        rows: rows that are kept: messages, ticks of nodes, or events.
        first_tick, last_tick: ticks of these; -1 if there are none.
        lost: what is not.
    """

    path: str
    rows: int
    first_tick: int
    last_tick: int
    lost: list[LostRange]


class RepairReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did.

    Attributes:
        session: its name.
        files: those that were made whole.
        untouched: how many were whole already.
        left_alone: what has a recording's name but is none, and why.
        messages: how many messages the session holds now.
        lost_messages: how many are known to be missing, for whatever reason.
        losses: the same by node, and whether that is all.
        counted: whether it is all of all nodes.
        ticks: how many ticks the session holds now.
        lost_seconds: the longest stretch of the graph's time that a file lost something in.
    """

    session: str
    files: list[FileRepair]
    untouched: int
    left_alone: list[str]
    messages: int
    lost_messages: int
    losses: list[NodeLoss]
    counted: bool
    ticks: int
    lost_seconds: float


def repair(session: Session) -> RepairReport:
    """Makes every file of a session whole: all batches that read, with a footer that says so.

    Works on copies, which replace the files when all of them are on disk. Bytes that no batch could be read from are kept
    in the session's folder ``damaged``. An event "repair" is added to the recording. Whole sessions are not touched.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.

    Raises:
        SchedulerBusy: it is being recorded.
        OutputFailed: the copies cannot be written; the session is as it was.

    >>> repair(find_session("monday")).lost_seconds  # doctest: +SKIP
    0.42
    """
    if session.state == "running":
        raise SchedulerBusy(f"cannot repair session {session.name!r}", "still recording it; stop that run first")
    try:
        work = _Repair(session)
        work.copy_files()
        work.replace_files()
    except (OSError, pa.ArrowException) as problem:
        if isinstance(problem, RecordingError):
            raise
        raise OutputFailed(str(session.folder), getattr(problem, "strerror", None) or str(problem)) from None
    finally:
        shutil.rmtree(session.folder / _WORKPLACE, ignore_errors=True)
    return work.report()


class _Repair:
    """One repair of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._place = session.folder / _WORKPLACE
        self._last_tick = session.last_tick()
        self._repairs: list[FileRepair] = []
        self._copies: list[tuple[Path, Path]] = []
        self._left_alone = [str(each) for each in session.damage if Path(each.path) not in session.missing]
        self._untouched = 0
        self._aside: Path | None = None  # what has the name of the file for the event, and is none

    def copy_files(self) -> None:
        """Writes a whole copy of each file that is not whole."""
        shutil.rmtree(self._place, ignore_errors=True)
        make_folder_in(self._place)
        paths = [*self._session.paths(), *self._session.missing]
        last_part = max(self._session.part_of(path) for path in paths)
        log = self._session.folder / file_name("events", self._session.id, last_part)
        for path in sorted(paths, key=lambda path: path.name.startswith("events@")):
            try:
                file = self._open(path)
            except RecordingError as problem:
                self._left_alone.append(str(problem))
                continue
            header = file.header if file else self._session.header_named(path)
            is_log = path == log
            if file is not None and file.complete and _is_sound(file) and not (is_log and self._repairs):
                self._untouched += 1
            else:
                self._copy(path, file, header, is_log)
        if self._repairs and log not in (path for _, path in self._copies):
            self._aside = log if os.path.lexists(log) else None
            self._copy(log, None, self._session.header_named(log), is_log=True)

    def _open(self, path: Path) -> RecordingFile | None:
        """The file, None for one that is empty or gone."""
        if path in self._session.missing or not path.stat().st_size:
            return None
        return self._session.open_file(path)

    def _copy(self, path: Path, file: RecordingFile | None, header: Header, is_log: bool) -> None:
        writer = FileWriter(self._place, header, (file.codec() if file else "") or None)
        rows, ticks = 0, list[int]()
        for batch in file.batches() if file else ():
            if batch.num_rows:
                found = tick_range(batch)
                writer.write(with_implied_names(batch, header), *found)
                rows, ticks = rows + batch.num_rows, [min(*found, *ticks), max(*found, *ticks)]
        damage = file.damage if file else [Damage(str(path), -1, -1, "it was empty or missing")]
        if damage:
            first, last = ticks or (-1, -1)
            lost = [self._lost(path, file, each) for each in damage]
            self._repairs.append(FileRepair(path=str(path), rows=rows, first_tick=first, last_tick=last, lost=lost))
        if is_log:
            writer.write(*event_batch([self._event()]))
        writer.close()
        self._copies.append((writer.path, path))

    def _lost(self, path: Path, file: RecordingFile | None, damage: Damage) -> LostRange:
        saved = ""
        if file is not None and 0 <= damage.start < damage.stop:
            saved = f"{DAMAGED}/{path.name}.{damage.start}"
            make_folder_in(self._place / DAMAGED, exist_ok=True)
            write_own(self._place / saved, file.bytes(damage.start, damage.stop))
        first, last = damage.first, damage.last if damage.last >= 0 or damage.first < 0 else self._last_tick
        span = last - first + (damage.last >= 0) if 0 <= first <= last else 0
        return LostRange(
            first_tick=first,
            last_tick=last,
            rows=damage.rows,
            bytes=max(damage.stop - damage.start, 0),
            ticks=span,
            seconds=span / self._session.graph.tick_rate,
            saved_as=saved,
            what=damage.what,
        )

    def _event(self) -> tuple[int, int, str, str, dict[str, Any]]:
        ranges = [lost for each in self._repairs for lost in each.lost]
        found = Count(self._session)
        detail = {
            "files": [Path(each.path).name for each in self._repairs],
            "bytes": sum(lost.bytes for lost in ranges),
            "seconds": max((lost.seconds for lost in ranges), default=0.0),
            "lost": {loss.node: loss.messages for loss in found.losses if loss.messages},
            "uncounted": [loss.node for loss in found.losses if not loss.counted],
            "counted": found.counted,
            "trimmed": found.told.trimmed,
        }
        return time.time_ns(), max(self._last_tick, 0), "", "repair", detail

    def replace_files(self) -> None:
        """Puts the copies in place of the files, once all of them are on disk."""
        if not self._repairs:
            return
        saved = self._place / DAMAGED
        if saved.is_dir():
            make_folder_in(self._session.folder / DAMAGED, exist_ok=True)
            for piece in saved.iterdir():
                os.replace(piece, self._session.folder / DAMAGED / piece.name)
        if self._aside is not None:
            (self._session.folder / DAMAGED).mkdir(exist_ok=True)
            self._aside.rename(self._session.folder / DAMAGED / self._aside.name)
        for copy, path in self._copies:
            os.replace(copy, path)
        descriptor = os.open(self._session.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def report(self) -> RepairReport:
        """What was done, and what the session holds now."""
        summary = summarize(Session(self._session.folder))
        return RepairReport(
            session=self._session.name,
            files=self._repairs,
            untouched=self._untouched,
            left_alone=self._left_alone,
            messages=summary.messages,
            lost_messages=summary.lost,
            losses=summary.losses,
            counted=summary.counted,
            ticks=summary.ticks,
            lost_seconds=max((lost.seconds for each in self._repairs for lost in each.lost), default=0.0),
        )


def _is_sound(file: RecordingFile) -> bool:
    for _ in file.batches():
        pass
    return not file.damage
