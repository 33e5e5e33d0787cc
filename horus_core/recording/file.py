"""One file of a recording: whole, still being written, cut short or damaged.

Opening never executes anything from a file, reads regular files only, and holds one batch at a time. Whatever a file
claims is checked before it is believed: frames against the file's size, headers and batches against their checksums.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa

from horus_core.errors import NotARecording, RecordingDamaged, RecordingTooNew
from horus_core.recording.body import KINDS, Body, Names
from horus_core.recording.format import FORMAT, STATUSES, BatchMark, Header, unsealed
from horus_core.recording.frames import (
    BATCH,
    PREFIX,
    SCHEMA,
    Frame,
    decompressed_size,
    ends_before,
    read_frame,
    walk,
)
from horus_core.recording.mapped import MappedFile

MAGIC = b"ARROW1"
LARGEST_BATCH = 512 << 20  # bytes that a compressed batch may take in memory: more than a recorder ever holds
_PLAIN = {  # the same with names as numbers: what a batch itself holds
    kind: pa.schema([field.with_type(getattr(field.type, "index_type", field.type)) for field in schema])
    for kind, schema in KINDS.items()
}
_TAIL = 4 + len(MAGIC)  # the footer's length and the magic
_ID = re.compile(r"[0-9a-f]{1,64}")
PROBLEMS = (
    struct.error,
    pa.ArrowException,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    NotImplementedError,
    MemoryError,
)


class Damage(msgspec.Struct, frozen=True):
    """One place where a file does not hold what was written.

    Attributes:
        path: the file.
        first: the first tick that may be affected, -1 where unknown.
        last: the last one; -1 behind a `first` that is known: from there on.
        what: what was found.
        start, stop: which of its bytes are concerned, -1 where none are.
        rows: how many rows were there, -1 where unknown.
    """

    path: str
    first: int
    last: int
    what: str
    start: int = -1
    stop: int = -1
    rows: int = -1

    def __str__(self) -> str:
        if self.first < 0:
            where = "at its end" if self.last < 0 else f"up to tick {self.last}"
        else:
            where = f"after tick {self.first}" if self.last < 0 else f"in ticks {self.first} to {self.last}"
        return f"{self.path} is damaged {where}: {self.what}"


class RecordingFile:
    """One file of a recording, open for reading through a memory map.

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
        self._mapped = MappedFile(self.path, limit)
        self._buffer = pa.py_buffer(self._mapped.view)
        self.size = len(self._mapped.view)
        self._schema: pa.Schema | None = None
        try:
            self._schema, self.header = self._read_header()
        except (RecordingDamaged, NotARecording) as problem:
            if header is None:
                raise
            self.header = header
            found = problem.args[2] if isinstance(problem, RecordingDamaged) else f"it is {problem.args[1]}"
            self._note(-1, header.graph.first_tick, f"{found}; another file's header stands in for its own")
        self._stop = self._frames_stop()
        self._listed = self._batches_listed()
        self.complete = self._listed is not None
        self._dictionaries: list[Names] | None = None

    def _read_header(self) -> tuple[pa.Schema, Header]:
        if bytes(self._mapped.view[: len(MAGIC)]) != MAGIC[: self.size]:
            raise NotARecording(str(self.path), "not an Arrow file", "give a recording's .arrow file")
        if self.size <= PREFIX:
            raise self._bad_start(f"it was cut after {self.size} bytes, before any data")
        try:
            frame = read_frame(self._mapped.view, PREFIX, self.size)
            if frame is None or frame.kind != SCHEMA:
                raise ValueError("it is not whole")
            schema = pa.ipc.read_schema(self._buffer.slice(PREFIX, frame.stop - PREFIX))
            raw = unsealed(schema.metadata or {})
            version = msgspec.json.decode(raw, type=_Version).format
            header = msgspec.json.decode(raw, type=Header) if version <= FORMAT else None
        except KeyError:
            raise NotARecording(
                str(self.path), "an Arrow file, but not of HORUS", "give a recording's .arrow file"
            ) from None
        except (*PROBLEMS, RecursionError) as problem:
            raise self._bad_start(f"the header does not read ({_line(problem)})") from None
        if header is None:
            raise RecordingTooNew(str(self.path), version, FORMAT)
        if header.kind not in KINDS or not schema.remove_metadata().equals(KINDS[header.kind]):
            raise self._bad_start(f"its columns are not those of a {header.kind[:40]!r} file")
        if not _ID.fullmatch(header.id):
            raise self._bad_start(f"its session's id is {header.id[:40]!r}, not a hexadecimal number")
        return schema, header

    def _bad_start(self, what: str) -> RecordingDamaged:
        return RecordingDamaged(str(self.path), "at its start", what)

    def _frames_stop(self) -> int:
        """Where the frames must end: before the footer, or with the file."""
        view = self._mapped.view
        if bytes(view[-len(MAGIC) :]) != MAGIC:
            return self.size
        length = int.from_bytes(view[-_TAIL : -len(MAGIC)], "little", signed=True)
        stop = self.size - _TAIL - length
        return stop if length > 0 and ends_before(view, stop) else self.size

    def _batches_listed(self) -> int | None:
        """How many batches the footer lists; None where there is no valid one."""
        if bytes(self._mapped.view[-len(MAGIC) :]) != MAGIC or self.size <= PREFIX:
            return None
        try:
            file = pa.ipc.open_file(self._buffer)
            if self._schema is not None and not file.schema.equals(self._schema, check_metadata=True):
                raise ValueError("footer and start disagree")
            listed: int = file.num_record_batches
        except PROBLEMS as problem:
            self._note(-1, -1, f"its footer is not valid ({_line(problem)})")
            return None
        return listed

    def marks(self) -> Iterator[BatchMark]:
        """What each batch says of itself, in file order, without a look at what is in them."""
        for _, seal in self.sealed_frames():
            yield seal

    def batches(self, first_tick: int | None = None, last_tick: int | None = None) -> Iterator[pa.RecordBatch]:
        """The batches that may hold ticks from `first_tick` to `last_tick`, in file order, each checked.

        A batch that fails its checksum is left out and noted in :attr:`damage`; where the file ends early is noted too.
        Batches are views of the memory map: constant memory however long the file.
        """
        for frame, seal in self._frames_within(first_tick, last_tick):
            batch = self.decode(frame, seal)
            if batch is not None:
                yield batch
            self._mapped.release(frame.stop)

    def bodies(self, first_tick: int | None = None, last_tick: int | None = None) -> Iterator[tuple[Body, Names]]:
        """The same batches as plain arrays, for what reads millions of small ones."""
        for frame, seal in self._frames_within(first_tick, last_tick):
            try:
                found = self._checked(frame, seal)
            except PROBLEMS as problem:
                self._note(seal.first, seal.last, _line(problem), frame.start, frame.stop, seal.rows)
            else:
                yield found
            self._mapped.release(frame.stop)

    def _frames_within(self, first: int | None, last: int | None) -> Iterator[tuple[Frame, BatchMark]]:
        for frame, seal in self.sealed_frames():
            if (first is None or seal.last >= first) and (last is None or seal.first <= last):
                yield frame, seal

    def sealed_frames(self) -> Iterator[tuple[Frame, BatchMark]]:
        """Each batch's place in the file and what it says of itself; :attr:`damage` tells what lies between."""
        known, found, gaps = self.header.graph.first_tick, 0, list[tuple[int, int]]()
        for item in walk(self._mapped.view, self._stop):
            seal = _seal(item) if isinstance(item, Frame) else None
            if isinstance(item, Frame) and seal is not None and item.kind == BATCH:
                self._note_gaps(gaps, known, seal.first)
                gaps, known, found = [], seal.last, found + 1
                yield item, seal
            elif not isinstance(item, Frame) or item.kind == BATCH or item.metadata:
                gaps.append((item.start, item.stop))
        self._note_end(gaps, known, found)

    def _note_gaps(self, gaps: list[tuple[int, int]], before: int, after: int) -> None:
        for start, stop in gaps:
            self._note(before, after, f"no batch reads in its bytes {start:,} to {stop:,}", start, stop)

    def _note_end(self, gaps: list[tuple[int, int]], last: int, found: int) -> None:
        if self._stop < self.size:
            self._note_gaps(gaps, last, -1)
            if self._listed not in (None, found) and not gaps:
                self._note(-1, -1, f"its footer lists {self._listed} batches, it holds {found}")
        elif not self._growing:
            tail = self.size - gaps[0][0] if gaps else 0
            rest = f"; its last {tail:,} bytes are not a whole batch" if tail else ""
            self._note(last, -1, f"it was not closed{rest}", self.size - tail, self.size)

    def _note(self, first: int, last: int, what: str, start: int = -1, stop: int = -1, rows: int = -1) -> None:
        damage = Damage(str(self.path), first, last, what, start, stop, rows)
        if damage not in self.damage:
            self.damage.append(damage)

    def decode(self, frame: Frame, seal: BatchMark) -> pa.RecordBatch | None:
        """The batch of `frame`, or None, with a note in :attr:`damage`, where it is not what was written."""
        try:
            _, names = self._checked(frame, seal)
            raw = self._raw(frame)
            raw.validate(full=True)
            return _with_names(raw, names.arrays, KINDS[self.header.kind])
        except PROBLEMS as problem:
            self._note(seal.first, seal.last, _line(problem), frame.start, frame.stop, seal.rows)
            return None

    def _raw(self, frame: Frame) -> pa.RecordBatch:
        """The batch of `frame` with numbers in place of names."""
        return pa.ipc.read_record_batch(
            self._buffer.slice(frame.start, frame.stop - frame.start), _PLAIN[self.header.kind]
        )

    def _checked(self, frame: Frame, seal: BatchMark) -> tuple[Body, Names]:
        body = self._body(frame)
        if body.rows != seal.rows:
            raise ValueError(f"it has {body.rows} rows, not {seal.rows}")
        for place, names in enumerate(self._names()):
            if body.checksum(names) == seal.crc32:
                if place:
                    self._note(-1, -1, "its dictionary is not what was written; the names are taken from its header")
                return body, names
        raise ValueError("its checksum does not match")

    def _body(self, frame: Frame) -> Body:
        if decompressed_size(self._mapped.view, frame) > LARGEST_BATCH:
            raise ValueError(f"it claims to be more than {LARGEST_BATCH >> 20} MiB when decompressed")
        kind, view = self.header.kind, self._mapped.view
        if frame.codec:
            raw = self._raw(frame)
            raw.validate()
            return Body.of(kind, raw)
        return Body(kind, frame.rows, view[frame.body : frame.stop], frame.buffers)

    def _names(self) -> list[Names]:
        """The dictionaries that may be right: the file's own, and those that its header implies."""
        if self._dictionaries is None:
            own, implied = self._own_names(), implied_names(self.header)
            self._dictionaries = [Names(each) for each in ([own] if own == implied else [own, implied])]
        return self._dictionaries

    def _own_names(self) -> dict[str, pa.Array]:
        columns = [field.name for field in KINDS[self.header.kind] if pa.types.is_dictionary(field.type)]
        if not columns:
            return {}
        try:
            for frame in walk(self._mapped.view, self._stop):
                if not isinstance(frame, Frame) or decompressed_size(self._mapped.view, frame) > LARGEST_BATCH:
                    return {}
                if frame.kind == BATCH:
                    break
            first = pa.ipc.open_stream(self._buffer.slice(PREFIX)).read_next_batch()
            names = {column: first.column(column).dictionary for column in columns}
            for dictionary in names.values():
                dictionary.validate(full=True)
            return names
        except (*PROBLEMS, StopIteration, AttributeError):
            return {}

    def codec(self) -> str:
        """How the file's batches are compressed: "lz4", "zstd" or "" for not at all."""
        return max((frame.codec for frame, seal in self.sealed_frames() if seal.rows), default="")

    def bytes(self, start: int, stop: int) -> memoryview:
        """Some of the file's bytes."""
        return self._mapped.view[start:stop]

    def close(self) -> None:
        """Forgets the map; batches that were handed out stay valid."""
        self._mapped.close()
        self._buffer = pa.py_buffer(b"")


class _Version(msgspec.Struct):
    format: int


def _with_names(raw: pa.RecordBatch, names: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.DictionaryArray.from_arrays(column, names[field.name]) if pa.types.is_dictionary(field.type) else column
        for field, column in zip(schema, raw.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def implied_names(header: Header) -> dict[str, pa.Array]:
    """The dictionaries of the file with this header, by column; they are fixed when it begins."""
    if header.kind == "events":
        return {}
    if header.kind == "node":
        topics = [lane.topic for lane in header.graph.lanes if lane.node == header.node]
        return {"topic": pa.array(topics, type=pa.string())}
    nodes = [node.name for node in header.graph.nodes]
    return {"node": pa.array(nodes, type=pa.string()), "status": pa.array(STATUSES, type=pa.string())}


def _seal(frame: Frame) -> BatchMark | None:
    try:
        return msgspec.json.decode(unsealed(frame.metadata), type=BatchMark)
    except (KeyError, ValueError):
        return None


def _line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]
