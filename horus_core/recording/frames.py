"""Where the messages of an Arrow IPC file lie, found without trusting any of them.

An Arrow file is ``ARROW1\\0\\0``, then frames, then an end mark of 8 bytes, a footer and ``ARROW1``. A frame is::

    0xFFFFFFFF | int32 length of metadata | metadata (a flatbuffer) | body

Metadata and body are multiples of 8 bytes, so frames start at multiples of 8. Arrow's own readers stop at the first frame
that does not read; :func:`walk` goes on with the next one that does, and says what lies between. All numbers come from the
file and may be anything: each is checked against the file's size before it is used, and nothing is allocated by them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import numpy as np

PREFIX = 8  # the magic and its padding
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_CONTINUATION = 0xFFFFFFFF
_HEAD = struct.Struct("<Ii")
_SEARCH_STEP = 1 << 20
_LARGEST_METADATA = 64 << 20
_LARGEST_PADDING = 64
_BUFFER_SIZE = 16
_UINT16 = struct.Struct("<H")
_INT32 = struct.Struct("<i")
_UINT32 = struct.Struct("<I")
_INT64 = struct.Struct("<q")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A message of the file.

    Attributes:
        kind: SCHEMA, DICTIONARY or BATCH.
        start: its place in the file.
        stop: where the next one starts.
        body: where its body starts.
        header: where, in the file, its table (RecordBatch, DictionaryBatch, ...) starts.
        metadata: its custom metadata.
    """

    kind: int
    start: int
    stop: int
    body: int
    header: int
    metadata: dict[bytes, bytes]


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Bytes in which no frame was found."""

    start: int
    stop: int


def ends_before(view: memoryview, stop: int) -> bool:
    """Whether the mark that ends the frames stands right before `stop`."""
    place = stop - _HEAD.size
    return PREFIX <= place <= len(view) - _HEAD.size and _HEAD.unpack_from(view, place) == (_CONTINUATION, 0)


def walk(view: memoryview, stop: int) -> Iterator[Frame | Gap]:
    """The frames of a file from its start to `stop`, and the gaps between those that read.

    Args:
        view: the whole file.
        stop: where the frames must have ended: the place of the footer, or the size of a file without one.
    """
    end = stop - _HEAD.size if ends_before(view, stop) else stop
    place = PREFIX
    while place < end:
        frame = read_frame(view, place, end)
        if frame is not None:
            yield frame
            place = frame.stop
            continue
        found = _next_frame(view, place + _HEAD.size, end)
        yield Gap(place, found)
        place = found


def read_frame(view: memoryview, place: int, stop: int) -> Frame | None:
    """The frame at `place`, or None where there is none that is whole before `stop`."""
    if place + _HEAD.size > stop:
        return None
    mark, length = _HEAD.unpack_from(view, place)
    start = place + _HEAD.size
    if mark != _CONTINUATION or not 0 < length <= min(stop - start, _LARGEST_METADATA):
        return None
    try:
        return _parse(view[start : start + length], place, start, length, stop)
    except (struct.error, IndexError, ValueError):
        return None


def _parse(metadata: memoryview, place: int, start: int, length: int, stop: int) -> Frame | None:
    table = _UINT32.unpack_from(metadata, 0)[0]
    kind_at, header_at, size_at, custom_at = _fields(metadata, table, 1, 5)
    kind = metadata[kind_at] if kind_at else 0
    size = _INT64.unpack_from(metadata, size_at)[0] if size_at else 0
    body = start + length
    if kind not in (SCHEMA, DICTIONARY, BATCH) or not header_at or not 0 <= size <= stop - body:
        return None
    header = _indirect(metadata, header_at)
    if kind == BATCH and not 0 <= size - _extent(metadata, header) < _LARGEST_PADDING:
        return None
    custom = _key_values(metadata, _indirect(metadata, custom_at)) if custom_at else {}
    return Frame(kind, place, body + size, body, start + header, custom)


def _extent(metadata: memoryview, batch: int) -> int:
    """Where the last of a batch's buffers ends in its body."""
    places = _buffers(metadata, batch)
    return max((offset + size for offset, size in zip(places[::2], places[1::2], strict=True)), default=0)


def _buffers(metadata: memoryview, batch: int) -> tuple[int, ...]:
    """Offset and length of each buffer of a batch, one after the other."""
    at = _fields(metadata, batch, 2, 3)[0]
    if not at:
        return ()
    vector = _indirect(metadata, at)
    count = _UINT32.unpack_from(metadata, vector)[0]
    if count > len(metadata) // _BUFFER_SIZE:
        raise ValueError("more buffers than there is room for")
    return struct.unpack_from(f"<{2 * count}q", metadata, vector + _UINT32.size)


def _fields(buffer: memoryview, table: int, first: int, stop: int) -> list[int]:
    """Where the fields `first` to `stop` - 1 of a flatbuffer table lie; 0 for one that is absent."""
    vtable = table - _INT32.unpack_from(buffer, table)[0]
    if vtable < 0:
        raise ValueError("a table before its buffer")
    present = (_UINT16.unpack_from(buffer, vtable)[0] - 4) // 2
    found = []
    for field in range(first, stop):
        offset = _UINT16.unpack_from(buffer, vtable + 4 + 2 * field)[0] if field < present else 0
        found.append(table + offset if offset else 0)
    return found


def _indirect(buffer: memoryview, at: int) -> int:
    place: int = at + _UINT32.unpack_from(buffer, at)[0]
    return place


def _key_values(buffer: memoryview, vector: int) -> dict[bytes, bytes]:
    found = {}
    for index in range(min(_UINT32.unpack_from(buffer, vector)[0], 64)):
        table = _indirect(buffer, vector + 4 + 4 * index)
        key, value = _fields(buffer, table, 0, 2)
        if key and value:
            found[_string(buffer, _indirect(buffer, key))] = _string(buffer, _indirect(buffer, value))
    return found


def _string(buffer: memoryview, at: int) -> bytes:
    size = _UINT32.unpack_from(buffer, at)[0]
    if at + 4 + size > len(buffer):
        raise ValueError("a string beyond its buffer")
    return bytes(buffer[at + 4 : at + 4 + size])


def _next_frame(view: memoryview, place: int, stop: int) -> int:
    """Where the first batch after `place` starts that has custom metadata, as those of a recording have; else `stop`."""
    for chunk in range(place, stop - _HEAD.size + 1, _SEARCH_STEP):
        size = min(_SEARCH_STEP, stop - chunk) // _HEAD.size
        words = np.frombuffer(view, dtype="<u4", count=2 * size, offset=chunk).reshape(-1, 2)
        likely = (words[:, 0] == _CONTINUATION) & (words[:, 1] > 0) & (words[:, 1] <= _LARGEST_METADATA)
        for index in np.flatnonzero(likely):
            found = chunk + int(index) * _HEAD.size
            frame = read_frame(view, found, stop)
            if frame is not None and frame.kind == BATCH and frame.metadata:
                return found
    return stop


def decompressed_size(view: memoryview, frame: Frame) -> int:
    """What the body of a batch or dictionary claims to take in memory once it is decompressed; 0 if it is not compressed.

    Raises:
        ValueError: the frame's table does not read.
    """
    try:
        return _decompressed_size(view[: frame.body], view[frame.body : frame.stop], frame)
    except (struct.error, IndexError) as problem:
        raise ValueError(f"its table does not read ({problem})") from None


def _decompressed_size(metadata: memoryview, body: memoryview, frame: Frame) -> int:
    table = frame.header
    if frame.kind == DICTIONARY:
        data = _fields(metadata, table, 1, 2)[0]
        if not data:
            raise ValueError("a dictionary without data")
        table = _indirect(metadata, data)
    if not _fields(metadata, table, 3, 4)[0]:
        return 0
    places, total = _buffers(metadata, table), 0
    for offset, length in zip(places[::2], places[1::2], strict=True):
        if length >= _INT64.size:
            if offset < 0:
                raise ValueError("a buffer before its body")
            total += max(_INT64.unpack_from(body, offset)[0], length)
    return total
