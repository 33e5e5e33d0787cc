"""One file of a recording: whole, still being written, cut short or damaged.

Opening never executes anything from a file, reads regular files only, and holds one batch at a time. Whatever a file
claims is checked before it is believed: frames against the file's size, headers and batches against their checksums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa

from horus_core.errors import NotARecording, RecordingDamaged
from horus_core.recording.format.dictionaries import LARGEST_BATCH, likely_names
from horus_core.recording.format.file_bytes import FileContent
from horus_core.recording.format.frames import PREFIX, Frame, Gap, decompressed_size, read_torn_frame, walk
from horus_core.recording.format.header_footer import (
    PROBLEMS,
    batches_listed,
    first_line,
    frames_stop,
    has_footer,
    read_header,
)
from horus_core.recording.format.metadata import BATCH, DICTIONARY, SCHEMA
from horus_core.recording.format.raw_batches import KINDS, Body, Names
from horus_core.recording.format.schemas import BatchMark, Header, unsealed
from horus_core.recording.reading import progress

_PLAIN = {  # the schemas with names as numbers: what a batch itself holds
    kind: pa.schema([field.with_type(getattr(field.type, "index_type", field.type)) for field in schema])
    for kind, schema in KINDS.items()
}


class Damage(msgspec.Struct, frozen=True):
    """One place where a file does not hold what was written.

    Attributes:
        path: the file.
        first: the first tick that may be affected, -1 where unknown.
        last: the last one; -1 behind a `first` that is known: from there on.
        what: what was found.
        start, stop: which of its bytes are concerned, -1 where none are.
        rows: how many rows are lost by it, -1 where unknown.
        at_least: how many they are at least, by what is left of the batches.
        whole: whether all of the file is concerned.
    """

    path: str
    first: int
    last: int
    what: str
    start: int = -1
    stop: int = -1
    rows: int = -1
    at_least: int = 0
    whole: bool = False

    def __str__(self) -> str:
        if self.whole:
            return f"{self.path}: {self.what}"
        if self.first < 0:
            where = "at its end" if self.last < 0 else f"up to tick {self.last}"
        else:
            where = f"after tick {self.first}" if self.last < 0 else f"in ticks {self.first} to {self.last}"
        return f"{self.path} is damaged {where}: {self.what}"


class RecordingFile:
    """One file of a recording, open for reading.

    Args:
        path: the file.
        header: what to take for its header where its own does not read.
        growing: it is being written; a last batch that is not whole yet is no damage then.
        limit: how many bytes to read at most: what a file held when its session was opened.

    Attributes:
        header: what the file says of its session.
        complete: whether the file was closed properly; False for one that is being written or was cut.
        damage: what was found wrong while reading; it grows as :meth:`batches` goes on.

    Raises:
        RecordingMissing, NotARecording, RecordingTooNew, RecordingDamaged: see their words.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Header | None = None,
        growing: bool = False,
        limit: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.damage: list[Damage] = []
        self._growing = growing
        self._content = FileContent(self.path, limit)
        schema: pa.Schema | None = None
        try:
            schema, self.header = read_header(self._content, self.path)
        except (RecordingDamaged, NotARecording) as problem:
            if header is None:
                raise
            self.header = header
            found = problem.args[2] if isinstance(problem, RecordingDamaged) else f"it is {problem.args[1]}"
            self._note(-1, header.graph.first_tick, f"{found}; another file's header stands in for its own", rows=0)
        self._stop = frames_stop(self._content)
        self._listed = self._batches_listed(schema)
        self.complete = self._listed is not None
        self._names: list[Names] | None = None

    def _batches_listed(self, schema: pa.Schema | None) -> int | None:
        if not has_footer(self._content):
            return None
        try:
            return batches_listed(self._content, schema)
        except PROBLEMS as problem:
            self._note(-1, -1, f"its footer is not valid ({first_line(problem)})", rows=0)
            return None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self._content.size

    def marks(self) -> Iterator[BatchMark]:
        """What each batch says of itself, in file order, without a look at what is in them."""
        for _, seal in self.sealed_frames():
            yield seal

    def batches(self, first_tick: int | None = None, last_tick: int | None = None) -> Iterator[pa.RecordBatch]:
        """The batches that may hold ticks from `first_tick` to `last_tick`, in file order, each checked.

        A batch that fails its checksum is left out and noted in :attr:`damage`; where the file ends early is noted too.
        One batch is in memory at a time, however long the file.
        """
        for frame, seal in self._frames_within(first_tick, last_tick):
            progress.note(frame.stop - frame.start)
            batch = self.decode(frame, seal)
            if batch is not None:
                yield batch

    def latched(self) -> Iterator[pa.RecordBatch]:
        """The last messages of latched topics before this file begins, as batches; they are in no other of these."""
        for frame, seal in self.sealed_frames():
            if seal.latched and (batch := self.decode(frame, seal)) is not None:
                yield batch

    def bodies(self, first_tick: int | None = None, last_tick: int | None = None) -> Iterator[tuple[Body, Names]]:
        """The same batches as plain arrays, for what reads millions of small ones."""
        for frame, seal in self._frames_within(first_tick, last_tick):
            progress.note(frame.stop - frame.start)
            try:
                found = self._checked(frame, seal, self._content.read(frame.start, frame.stop))
            except PROBLEMS as problem:
                self._note(seal.first, seal.last, first_line(problem), frame.start, frame.stop, seal.rows)
            else:
                yield found

    def _frames_within(self, first: int | None, last: int | None) -> Iterator[tuple[Frame, BatchMark]]:
        for frame, seal in self.sealed_frames():
            if seal.latched:
                continue
            if (first is None or seal.last >= first) and (last is None or seal.first <= last):
                yield frame, seal

    def sealed_frames(self) -> Iterator[tuple[Frame, BatchMark]]:
        """Each batch's place in the file and what it says of itself; :attr:`damage` tells what lies between."""
        known, found, gaps = self.header.graph.first_tick, 0, list[tuple[int, int]]()
        whole = True
        for item in walk(self._content, self._stop, self._is_intact):
            seal = _seal(item) if isinstance(item, Frame) and item.kind == BATCH else None
            if isinstance(item, Frame) and seal is not None:
                self._note_gaps(gaps, known, seal.first)
                gaps, known, found = [], max(known, seal.last), found + 1
                yield item, seal
            elif not _belongs_before_batches(item) or found:
                gaps.append((item.start, item.stop))
                whole = False
        if self._stop < self.size:
            self._note_gaps(gaps, known, -1)
            if whole and self._listed not in (None, found):
                self._note(-1, -1, f"its footer lists {self._listed} batches, it holds {found}")
        elif not self._growing:
            tail = self.size - gaps[0][0] if gaps else 0
            rows = sum(self._torn_rows(*gap) for gap in gaps)
            rest = f"; its last {tail:,} bytes are not a whole batch" if tail else ""
            rest += f", the first of them one of {rows:,} rows" if rows else ""
            self._note(known, -1, f"it was not closed{rest}", self.size - tail, self.size, at_least=rows)

    def _note_gaps(self, gaps: list[tuple[int, int]], before: int, after: int) -> None:
        for start, stop in gaps:
            rows, what = self._torn_rows(start, stop), f"no batch reads in its bytes {start:,} to {stop:,}"
            self._note(before, after, what, start, stop, at_least=rows)

    def _torn_rows(self, start: int, stop: int) -> int:
        """The rows of the batch that begins at `start`, by its mark, though it does not read."""
        frame = read_torn_frame(self._content, start, stop)
        seal = None if frame is None else _seal(frame)
        return 0 if seal is None else max(seal.rows, 0)

    def _note(
        self, first: int, last: int, what: str, start: int = -1, stop: int = -1, rows: int = -1, at_least: int = 0
    ) -> None:
        damage = Damage(str(self.path), first, last, what, start, stop, rows, at_least)
        if damage not in self.damage:
            self.damage.append(damage)

    def decode(self, frame: Frame, seal: BatchMark) -> pa.RecordBatch | None:
        """The batch of `frame`, or None, with a note in :attr:`damage`, where it is not what was written."""
        try:
            data = self._content.read(frame.start, frame.stop)
            _, names = self._checked(frame, seal, data)
            raw = pa.ipc.read_record_batch(pa.py_buffer(data), _PLAIN[self.header.kind])
            raw.validate(full=True)
            _check_ticks(raw, seal)
            return _with_names(raw, names.arrays, KINDS[self.header.kind])
        except PROBLEMS as problem:
            self._note(seal.first, seal.last, first_line(problem), frame.start, frame.stop, seal.rows)
            return None

    def _is_intact(self, frame: Frame) -> bool:
        """Whether the rows of a frame are what was written; an empty one has none to tell by."""
        seal = _seal(frame)
        if seal is None or not seal.rows:
            return False
        try:
            return bool(self._checked(frame, seal, self._content.read(frame.start, frame.stop)))
        except PROBLEMS:
            return False

    def _checked(self, frame: Frame, seal: BatchMark, data: memoryview) -> tuple[Body, Names]:
        body = self._body(frame, data)
        if body.rows != seal.rows:
            raise ValueError(f"it has {body.rows} rows, not {seal.rows}")
        if self._names is None:
            self._names = likely_names(self._content, self._stop, self.header)
        for place, names in enumerate(self._names):
            if body.checksum(names) == seal.crc32:
                if place:
                    self._note(
                        -1, -1, "its dictionary is not what was written; the names are taken from its header", rows=0
                    )
                return body, names
        raise ValueError("its checksum does not match")

    def _body(self, frame: Frame, data: memoryview) -> Body:
        kind, body = self.header.kind, data[frame.body - frame.start :]
        if not frame.codec:
            return Body(kind, frame.rows, body, frame.buffers)
        if decompressed_size(frame, body) > LARGEST_BATCH:
            raise ValueError(f"it claims to be more than {LARGEST_BATCH >> 20} MiB when decompressed")
        raw = pa.ipc.read_record_batch(pa.py_buffer(data), _PLAIN[kind])
        raw.validate()
        return Body.of(kind, raw)

    def codec(self) -> str:
        """How the file's batches are compressed: "lz4", "zstd" or "" for not at all."""
        return max((frame.codec for frame, seal in self.sealed_frames() if seal.rows), default="")

    def bytes(self, start: int, stop: int) -> memoryview:
        """Some of the file's bytes."""
        return self._content.read(start, stop)

    def close(self) -> None:
        """Closes the file; batches that were handed out stay valid."""
        self._content.close()


def _with_names(raw: pa.RecordBatch, names: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.DictionaryArray.from_arrays(column, names[field.name]) if pa.types.is_dictionary(field.type) else column
        for field, column in zip(schema, raw.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _check_ticks(batch: pa.RecordBatch, seal: BatchMark) -> None:
    """Whoever reads ticks counts on the mark for how many there are."""
    ticks = batch.column("tick").to_numpy()
    if len(ticks) and not seal.first <= ticks.min() <= ticks.max() <= seal.last:
        raise ValueError(f"its ticks are not those of its mark, {seal.first} to {seal.last}")


def _belongs_before_batches(item: Frame | Gap) -> bool:
    if not isinstance(item, Frame) or item.metadata:
        return False
    return item.kind == DICTIONARY or (item.kind == SCHEMA and item.start == PREFIX)


def _seal(frame: Frame) -> BatchMark | None:
    try:
        return msgspec.json.decode(unsealed(frame.metadata), type=BatchMark)
    except PROBLEMS:
        return None
