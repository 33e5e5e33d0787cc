"""The files of a recording: schemas, header, checksums.

A session is a folder of Arrow IPC files, all with the session's id in their names:

``scheduler@<id>.arrow``  one row per node and tick in which it ran
``<node>@<id>.arrow``     one row per message that the node sent
``events@<id>.arrow``     one row per thing that happened: start, miss, error, crash, restart, gap, stop, end

Each schema's metadata has the key ``horus``: a :class:`Header` as JSON. Each batch's custom metadata has the key ``horus``:
a :class:`BatchMark` as JSON, with a CRC32 over the batch's content (Arrow has no checksum of its own). Beside each of them
stands the key ``horus.crc32``: the CRC32 of that JSON, in decimal digits. No column is nullable; topic and node names are
dictionary-encoded with dictionaries fixed when the file starts. A further part of a session (after a split, or after the
recorder was restarted) is a further set of files, ``<node>@<id>.<part>.arrow``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from horus_core.recording.format.crc import crc32
from horus_core.recording.format.header import (
    FORMAT,
    BatchMark,
    GraphRecord,
    Header,
    LaneRecord,
    NodeRecord,
    TopicRecord,
)

__all__ = [
    "EVENTS",
    "FORMAT",
    "MARK",
    "MESSAGES",
    "RECEIVED",
    "STATUSES",
    "TICKS",
    "BatchMark",
    "GraphRecord",
    "Header",
    "LaneRecord",
    "NodeRecord",
    "TopicRecord",
    "checksum",
    "mark",
    "with_header",
]

MARK = b"horus"
CHECK = b"horus.crc32"
STATUSES = ("ok", "late", "error", "safe")

_NAMES = pa.dictionary(pa.int16(), pa.string())
_TIME = pa.timestamp("ns", tz="UTC")


def _field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


RECEIVED = pa.struct(
    [_field("lane", pa.int16()), _field("first", pa.int64()), _field("stop", pa.int64()), _field("end", pa.int64())]
)

MESSAGES = pa.schema(
    [
        _field("tick", pa.int64()),  # the tick whose job sent it
        _field("visible", pa.int64()),  # the first tick in which another node could receive it
        _field("sequence", pa.int64()),  # counts the messages of this node on this topic, from 0
        _field("time", _TIME),  # when it was sent
        _field("topic", _NAMES),
        _field("encoding", pa.uint8()),  # how the payload decodes: horus_core.messages.encoding
        _field("payload", pa.large_binary()),
    ]
)
TICKS = pa.schema(
    [
        _field("tick", pa.int64()),
        _field("node", _NAMES),
        _field("start", _TIME),
        _field("duration", pa.int64()),  # ns
        _field("status", pa.dictionary(pa.int8(), pa.string())),
        _field("visible", pa.int64()),  # the first tick in which others could receive what it sent
        _field("dropped", pa.int64()),  # messages that full lanes had pushed out before the node read them, so far
        # For each lane with anything to read: it took the sequences first to stop - 1 and could have taken up to end - 1.
        _field("received", pa.list_(pa.field("item", RECEIVED, nullable=False))),
    ]
)
EVENTS = pa.schema(
    [
        _field("time", _TIME),
        _field("tick", pa.int64()),
        _field("node", pa.string()),  # empty: the graph
        _field("event", pa.string()),
        _field("detail", pa.string()),  # JSON
    ]
)


def with_header(schema: pa.Schema, header: Header) -> pa.Schema:
    """`schema` with the header in its metadata."""
    return schema.with_metadata(sealed(header))


def mark(batch: pa.RecordBatch, first: int, last: int, latched: bool = False) -> pa.KeyValueMetadata:
    """The custom metadata for `batch`, whose ticks lie between `first` and `last`; see :class:`BatchMark`."""
    return pa.KeyValueMetadata(sealed(BatchMark(checksum(batch), batch.num_rows, first, last, latched)))


def sealed(record: Header | BatchMark) -> dict[bytes, bytes]:
    """`record` as metadata: its JSON, and the CRC32 of that."""
    raw = msgspec.json.encode(record)
    return {MARK: raw, CHECK: str(crc32(raw)).encode()}


def unsealed(metadata: Mapping[bytes, bytes]) -> bytes:
    """The JSON that :func:`sealed` put there.

    Raises:
        KeyError: there is none.
        ValueError: it is not what was written.
    """
    raw = metadata[MARK]
    if metadata.get(CHECK) != str(crc32(raw)).encode():
        raise ValueError("its checksum does not match")
    return raw


def checksum(batch: pa.RecordBatch) -> int:
    """CRC32 over the content of `batch`, independent of padding.

    Over each column in turn: fixed-width values; dictionary indices and then the dictionary; offsets and then bytes of
    strings and binaries; offsets and then items of lists; the fields of structs.

    Raises:
        ValueError: a column has nulls, which no recording has.
    """
    crc = 0
    for column in batch.columns:
        for piece in content(column):
            crc = crc32(piece, crc)
    return crc


def content(array: pa.Array) -> Iterator[Any]:
    """The bytes of a column that its checksum is over, piece by piece."""
    kind = array.type
    if array.null_count:
        raise ValueError("a column has nulls")
    if pa.types.is_dictionary(kind):
        yield from content(array.indices)
        yield from content(array.dictionary)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from content(array.field(index))
    elif pa.types.is_list(kind):
        yield from _offsets(array, 4)
        yield from content(array.flatten())
    elif pa.types.is_large_binary(kind) or pa.types.is_string(kind):
        width = 8 if pa.types.is_large_binary(kind) else 4
        offsets = [bytes(piece) for piece in _offsets(array, width)]
        yield from offsets
        if offsets:
            data = array.buffers()[2]
            last = int.from_bytes(offsets[0][-width:], "little")
            if data is not None:
                yield memoryview(data)[:last]
    else:
        width = kind.bit_width // 8
        if len(array):
            yield memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]


def _offsets(array: pa.Array, width: int) -> Sequence[memoryview]:
    if not len(array):
        return ()
    return (memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array) + 1) * width],)
