"""A session that is being made of others: there when it is whole, gone if that does not come about."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from horus_core.errors import OutputFailed
from horus_core.processes.own_files import copy_own, make_folder_in
from horus_core.recording.format.dictionaries import with_implied_names
from horus_core.recording.format.header import GraphRecord, Header
from horus_core.recording.keeping.sessions import begun, new_session_folder
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.ticks import tick_range
from horus_core.recording.writing.writer import FileWriter, event_batch

_KEPT_FOLDERS = ("source", "logs")


@contextmanager
def new_session(name: str, header: Header, graph: GraphRecord) -> Iterator[tuple[Path, Header]]:
    """A folder to write a session into, which becomes the session `name` if all goes well and is gone otherwise."""
    final = new_session_folder(name)
    folder = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        make_folder_in(folder)
        yield folder, msgspec.structs.replace(header, session=final.name, id=secrets.token_hex(4), part=0, graph=graph)
        begun(final)
        folder.rename(final)
    except BaseException as problem:
        shutil.rmtree(folder, ignore_errors=True)
        begun(final)
        final.rmdir()
        if isinstance(problem, (OSError, pa.ArrowException)) and not isinstance(problem, OutputFailed):
            raise OutputFailed(str(final), getattr(problem, "strerror", None) or str(problem)) from None
        raise


class NewFile:
    """A file of the new session."""

    def __init__(self, folder: Path, header: Header, kind: str, node: str = "") -> None:
        self._header = msgspec.structs.replace(header, kind=kind, node=node)
        self._writer = FileWriter(folder, self._header)
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Appends rows, whatever their dictionaries."""
        if batch.num_rows:
            self._writer.write(with_implied_names(batch, self._header), *tick_range(batch))
            self.rows += batch.num_rows

    def begin_with(self, rows: Sequence[pa.RecordBatch]) -> None:
        """Begins with the last messages of latched topics before the first tick, each a batch of one row."""
        for row in rows:
            self._writer.write(with_implied_names(row, self._header), *tick_range(row), latched=True)

    def add_event(self, tick: int, event: str, detail: dict[str, Any]) -> None:
        """Appends an event of now."""
        self._writer.write(*event_batch([(time.time_ns(), tick, "", event, detail)]))

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()


def keep_folders(session: Session, folder: Path) -> None:
    """Copies script and logs; regular files only."""
    for name in _KEPT_FOLDERS:
        place = session.folder / name
        if place.is_symlink() or not place.is_dir():
            continue
        make_folder_in(folder / name, exist_ok=True)
        for path in place.iterdir():
            if path.is_file() and not path.is_symlink():
                copy_own(path, folder / name / path.name)
