"""The messages of one topic as fields: a column of values for each name, nested names joined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from horus_core.errors import UndecodableMessage
from horus_core.messages.encoding import MSGPACK, RAW, Decoder
from horus_core.messages.value_offsets import Slot
from horus_core.recording.export.columns import Values
from horus_core.recording.export.pictures import SMALLEST_PICTURE, Pictures, picture_name
from horus_core.recording.reading.columns import Layout, by_layout
from horus_core.recording.reading.messages import Messages

Names = tuple[str, ...]
_DEEPEST = 16


class Piece(NamedTuple):
    """Some rows of a block, as columns of equal length; `undecodable` tells how many of them do not decode."""

    rows: np.ndarray
    columns: dict[Names, Values]
    undecodable: int = 0


class TopicFields:
    """Turns the messages of one topic into columns.

    Args:
        topic: the topic.
        node: who sent them.
        pictures: what stands for large arrays; by default nothing does.

    Attributes:
        whole: take each message as one value instead, because its keys are without end.
    """

    def __init__(self, topic: str, node: str = "", pictures: Pictures | None = None) -> None:
        self.whole = False
        self._node, self._topic, self._pictures = node, topic, pictures
        self._decoder = Decoder(topic)

    def pieces(self, block: Messages, rows: np.ndarray) -> Iterator[Piece]:
        """The messages of `rows`, which are all on this topic, in pieces whose rows have the same form."""
        encodings = block.encoding[rows]
        plain = rows[encodings == RAW]
        if len(plain):
            yield Piece(plain, {(): _bytes_column(block, plain)})
        packed, others = rows[encodings == MSGPACK], rows[(encodings != MSGPACK) & (encodings != RAW)]
        if len(packed) and not self.whole:
            rest = []
            for layout, places, matrices in by_layout((block, packed)):
                if layout is None or layout.nested:
                    rest.append(packed[places])
                else:
                    yield Piece(packed[places], _layout_columns(layout, matrices[0]))
            packed = np.concatenate(rest) if rest else packed[:0]
        slow = np.sort(np.concatenate([packed, others]))
        if len(slow):
            yield self._decoded(block, slow)

    def _decoded(self, block: Messages, rows: np.ndarray) -> Piece:
        columns: dict[Names, Values] = {}
        undecodable = 0
        for place, row in enumerate(rows.tolist()):
            try:
                value = self._decoder.decode(int(block.encoding[row]), block.payload(row), copy=False)
            except UndecodableMessage:
                undecodable += 1
                continue
            for name, each in [((), value)] if self.whole else _flat(value):
                column = columns.get(name)
                if column is None:
                    column = columns[name] = [None] * len(rows)
                column[place] = each
                if isinstance(each, np.ndarray) and self._pictures is not None and each.nbytes >= SMALLEST_PICTURE:
                    stands = self._pictures.text(
                        picture_name(self._node, self._topic, ".".join(name)), int(block.tick[row]), each
                    )
                    column[place] = each if stands is None else stands
        return Piece(rows, columns, undecodable)


def _flat(value: Any) -> Iterator[tuple[Names, Any]]:
    """The leaves of nested dicts, each with its keys; an empty dict is one."""
    waiting: list[tuple[Names, Any]] = [((), value)]
    while waiting:
        name, each = waiting.pop()
        if isinstance(each, dict) and each and len(name) < _DEEPEST:
            waiting.extend(((*name, str(key)), below) for key, below in reversed(each.items()))
        else:
            yield name, each


def _layout_columns(layout: Layout, matrix: np.ndarray) -> dict[Names, Values]:
    return {tuple(map(str, slot.path)): _slot_column(slot, matrix) for slot in layout.slots}


def _slot_column(slot: Slot, matrix: np.ndarray) -> Values:
    if slot.kind == "none":
        return pa.nulls(len(matrix))
    if slot.kind == "map":
        return [{}] * len(matrix)
    if slot.kind == "fixint" and slot.shape == (0,):
        return [[]] * len(matrix)  # a list without items has no type
    values = slot.values(matrix)
    if slot.kind not in ("str", "bytes"):
        return values
    offsets = pa.py_buffer(np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(slot.shape[0]))
    kind = pa.string() if slot.kind == "str" else pa.binary()
    return pa.Array.from_buffers(kind, len(matrix), [None, offsets, pa.py_buffer(np.ascontiguousarray(values))])


def _bytes_column(block: Messages, rows: np.ndarray) -> pa.Array:
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(block.length[rows], out=offsets[1:])
    data = b"".join([block.payload(row) for row in rows.tolist()])
    return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
