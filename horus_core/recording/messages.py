"""The messages of one node as columns: blocks of many rows, whatever the size of the batches in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horus_core.recording.file import Damage
from horus_core.recording.names import file_stem
from horus_core.recording.reader import Session

BLOCK_ROWS = 1 << 16
BLOCK_BYTES = 16 << 20
_FIXED = {"tick": np.int64, "sequence": np.int64, "time": np.int64, "topic": np.int16, "encoding": np.uint8}


class Messages:
    """Rows of a node's file, sorted by tick.

    Attributes:
        topics: the names that `topic` counts in.
        tick, sequence, time, topic, encoding: one number per row; time in ns since 1970.
        start, length: where each payload lies in `data`.
        data: bytes.
    """

    __slots__ = ("data", "encoding", "length", "sequence", "start", "tick", "time", "topic", "topics")

    def __init__(self, topics: list[str], columns: dict[str, np.ndarray], data: np.ndarray) -> None:
        self.topics, self.data = topics, data
        for name, column in columns.items():
            setattr(self, name, column)

    tick: np.ndarray
    sequence: np.ndarray
    time: np.ndarray
    topic: np.ndarray
    encoding: np.ndarray
    start: np.ndarray
    length: np.ndarray

    @staticmethod
    def none(topics: list[str]) -> Messages:
        """No rows."""
        columns = {name: np.empty(0, _FIXED.get(name, np.int64)) for name in _COLUMNS}
        return Messages(topics, columns, np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self.tick)

    def rows(self, which: slice | np.ndarray) -> Messages:
        """A selection of the rows; the payloads are shared."""
        return Messages(self.topics, {name: getattr(self, name)[which] for name in _COLUMNS}, self.data)

    def payload(self, row: int) -> memoryview:
        """The bytes of one message."""
        begin = int(self.start[row])
        return memoryview(self.data[begin : begin + int(self.length[row])])

    def side_by_side(self) -> bool:
        """Whether the payloads lie in `data` one after the other without gaps."""
        return bool((self.start[1:] == self.start[:-1] + self.length[:-1]).all())

    @staticmethod
    def joined(blocks: Sequence[Messages]) -> Messages:
        """The rows of all blocks, which name the same topics."""
        if len(blocks) == 1:
            return blocks[0]
        columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS}
        pieces, starts, at = [], [], 0
        for block in blocks:
            begin, stop = block._extent()
            pieces.append(block.data[begin:stop])
            starts.append(block.start + (at - begin))
            at += stop - begin
        columns["start"] = np.concatenate(starts)
        return Messages(blocks[0].topics, columns, np.concatenate(pieces))

    def _extent(self) -> tuple[int, int]:
        if not len(self):
            return 0, 0
        return int(self.start.min()), int((self.start + self.length).max())


_COLUMNS = (*_FIXED, "start", "length")


def read_messages(
    session: Session,
    node: str,
    damage: list[Damage],
    topics: Sequence[str] | None = None,
    first_tick: int | None = None,
    last_tick: int | None = None,
    names: list[str] | None = None,
) -> Iterator[Messages]:
    """The messages of one node in blocks of some 65,000 rows or 16 MB, in constant memory.

    Args:
        session: where to read.
        node: who sent them.
        damage: what cannot be read is noted there.
        topics: only these.
        first_tick, last_tick: only ticks from and up to these.
        names: the topics that the rows' numbers count in; new ones are appended.
    """
    names = [] if names is None else names
    waiting: list[Messages] = []
    rows = size = 0
    for batch in session.batches(file_stem(node), damage, first_tick, last_tick):
        block = _selected(_block(batch, names), topics, first_tick, last_tick)
        if not len(block):
            continue
        waiting.append(block)
        rows, size = rows + len(block), size + batch.nbytes
        if rows >= BLOCK_ROWS or size >= BLOCK_BYTES:
            yield _sorted(Messages.joined(waiting))
            waiting, rows, size = [], 0, 0
    if waiting:
        yield _sorted(Messages.joined(waiting))


def _block(batch: pa.RecordBatch, names: list[str]) -> Messages:
    columns = {name: _numbers(batch.column(name), kind) for name, kind in _FIXED.items() if name != "topic"}
    places = _places(batch.column("topic"), names)
    columns["topic"] = places
    payload = batch.column("payload")
    _, offsets, data = payload.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(batch.column("tick")) + 1, payload.offset * 8)
    columns["start"], columns["length"] = bounds[:-1], np.diff(bounds)
    return Messages(names, columns, np.frombuffer(data if data is not None else b"", np.uint8))


def _numbers(column: pa.Array, kind: Any) -> np.ndarray:
    width = np.dtype(kind).itemsize
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * width)


def _places(column: pa.DictionaryArray, names: list[str]) -> np.ndarray:
    """The rows' topics as places in `names`, which gets those that it has not."""
    places = _numbers(column.indices, np.int16)
    own = column.dictionary.to_pylist()
    if own == names:
        return places
    names.extend(name for name in own if name not in names)
    return np.array([names.index(name) for name in own], dtype=np.int16)[places]


def _selected(block: Messages, topics: Sequence[str] | None, first: int | None, last: int | None) -> Messages:
    if first is not None or last is not None:
        within = np.ones(len(block), dtype=bool)
        if first is not None:
            within &= block.tick >= first
        if last is not None:
            within &= block.tick <= last
        if not within.all():
            block = block.rows(within)
    if topics is not None:
        wanted = np.array([name in topics for name in block.topics], dtype=bool)
        if not wanted.all():
            block = block.rows(wanted[block.topic])
    return block


def _sorted(block: Messages) -> Messages:
    if (np.diff(block.tick) >= 0).all():
        return block
    return block.rows(np.argsort(block.tick, kind="stable"))
