"""The content of a batch as plain bytes, without a pyarrow object per column: small batches read three times as fast."""

from __future__ import annotations

import pyarrow as pa

from horus_core.recording.format.crc import crc32
from horus_core.recording.format.schemas import EVENTS, MESSAGES, TICKS, content

KINDS = {"scheduler": TICKS, "node": MESSAGES, "events": EVENTS}


class Column:
    """Where a column of a schema stands among the buffers of a batch.

    Attributes:
        name: its name.
        first: the place of its first buffer, which tells of nulls.
        count: how many buffers it has.
        width: bytes of one value, or of one offset.
        kind: "fixed", "names" (places in a dictionary), "bytes" (offsets and bytes) or "list" (offsets and items).
        items: the columns of a list's items.
    """

    def __init__(self, name: str, kind: pa.DataType, first: int) -> None:
        self.name, self.first, self.items, self.count = name, first, list[Column](), 2
        if pa.types.is_dictionary(kind):
            self.kind, self.width = "names", kind.index_type.bit_width // 8
        elif pa.types.is_large_binary(kind) or pa.types.is_string(kind):
            self.kind, self.width, self.count = "bytes", 8 if pa.types.is_large_binary(kind) else 4, 3
        elif pa.types.is_list(kind):
            self.kind, self.width = "list", 4
            fields = [kind.value_type.field(place) for place in range(kind.value_type.num_fields)]
            self.items = [Column(field.name, field.type, first + 3 + 2 * place) for place, field in enumerate(fields)]
            self.count = 3 + 2 * len(fields)
        else:
            self.kind, self.width = "fixed", kind.bit_width // 8


def _columns(schema: pa.Schema) -> dict[str, Column]:
    found: dict[str, Column] = {}
    first = 0
    for field in schema:
        column = found[field.name] = Column(field.name, field.type, first)
        first += column.count
    return found


_COLUMNS = {kind: _columns(schema) for kind, schema in KINDS.items()}
_PLANS = {kind: list(columns.values()) for kind, columns in _COLUMNS.items()}
_COUNTS = {kind: sum(column.count for column in columns) for kind, columns in _PLANS.items()}


class Names:
    """The dictionaries of a file.

    Args:
        arrays: for each column that has one.

    Attributes:
        lists: the same as lists.
        pieces: what the checksum is over.
    """

    def __init__(self, arrays: dict[str, pa.Array]) -> None:
        self.arrays = arrays
        self.lists = {column: array.to_pylist() for column, array in arrays.items()}
        self.pieces = {column: [bytes(piece) for piece in content(array)] for column, array in arrays.items()}


class Body:
    """The buffers of a batch.

    Args:
        kind: of its file.
        rows: how many.
        view: bytes that hold the buffers.
        places: where each buffer starts in `view` and how long it is, in Arrow's order, one after the other.

    Raises:
        ValueError: the buffers are not such a batch's.
    """

    __slots__ = ("_kind", "_places", "_view", "rows")

    def __init__(self, kind: str, rows: int, view: memoryview, places: tuple[int, ...]) -> None:
        self._kind, self.rows, self._view, self._places = kind, rows, view, places
        if rows < 0 or len(places) != 2 * _COUNTS[kind]:
            raise ValueError("its buffers are not those of its columns")

    @staticmethod
    def of(kind: str, batch: pa.RecordBatch) -> Body:
        """The content of a batch that pyarrow has decompressed."""
        buffers = [buffer for column in batch.columns for buffer in column.buffers()]
        parts = [bytes(buffer) if buffer is not None else b"" for buffer in buffers]
        places, start = [], 0
        for part in parts:
            places += [start, len(part)]
            start += len(part)
        return Body(kind, batch.num_rows, memoryview(b"".join(parts)), tuple(places))

    def checksum(self, names: Names) -> int:
        """The checksum of the batch, as :func:`horus_core.recording.format.schemas.checksum` defines it."""
        crc, rows = 0, self.rows
        for column in _PLANS[self._kind]:
            if column.kind == "fixed" or column.kind == "names":
                if self._places[2 * column.first + 1]:
                    raise ValueError("a column has nulls")
                crc = crc32(self._part(column.first + 1, rows * column.width), crc)
                for piece in names.pieces.get(column.name, ()):
                    crc = crc32(piece, crc)
            else:
                crc = self._variable(column, crc)
        return crc

    def _variable(self, column: Column, crc: int) -> int:
        """Adds a column of bytes or lists to a checksum."""
        if self._places[2 * column.first + 1]:
            raise ValueError("a column has nulls")
        if not self.rows:
            return crc
        offsets = self._part(column.first + 1, (self.rows + 1) * column.width)
        crc = crc32(offsets, crc)
        last = int.from_bytes(offsets[-column.width :], "little", signed=True)
        if int.from_bytes(offsets[: column.width], "little") or last < 0:
            raise ValueError("its offsets do not begin at 0")
        if column.kind == "bytes":
            return crc32(self._part(column.first + 2, last), crc)
        for item in column.items:
            if self._places[2 * item.first + 1]:
                raise ValueError("a column has nulls")
            crc = crc32(self._part(item.first + 1, last * item.width), crc)
        return crc

    def _part(self, buffer: int, size: int) -> memoryview:
        start = self._places[2 * buffer]
        if size > self._places[2 * buffer + 1]:
            raise ValueError("a buffer is shorter than its column")
        return self._view[start : start + size]

    def values(self, column: str) -> memoryview:
        """The values of a column of numbers, or the places of one of names."""
        found = _COLUMNS[self._kind][column]
        return self._part(found.first + 1, self.rows * found.width)

    def offsets_and_bytes(self, column: str) -> tuple[memoryview, memoryview]:
        """The offsets of a column of bytes, one more than rows, and what they are offsets in."""
        found = _COLUMNS[self._kind][column]
        offsets = self._offsets(found)
        return offsets, self._part(found.first + 2, int.from_bytes(offsets[-found.width :], "little"))

    def items(self, column: str) -> dict[str, memoryview]:
        """The fields of all items of a column of lists of structs of numbers."""
        found = _COLUMNS[self._kind][column]
        count = int.from_bytes(self._offsets(found)[-found.width :], "little")
        return {item.name: self._part(item.first + 1, count * item.width) for item in found.items}

    def _offsets(self, column: Column) -> memoryview:
        if not self.rows:
            return memoryview(bytes(column.width))
        return self._part(column.first + 1, (self.rows + 1) * column.width)
