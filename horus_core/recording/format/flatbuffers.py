"""Reads tables of a flatbuffer, the form of Arrow's metadata, with every offset checked against the buffer.

What does not fit raises struct.error, IndexError or ValueError.
"""

from __future__ import annotations

import struct

INT64 = struct.Struct("<q")
UINT32 = struct.Struct("<I")
_INT32 = struct.Struct("<i")
_UINT16 = struct.Struct("<H")
_OFFSETS = [struct.Struct(f"<{count}H") for count in range(16)]
_MOST_PAIRS = 64


def fields(buffer: bytes, table: int, count: int) -> list[int]:
    """Where the first `count` fields of a table lie; 0 for one that is absent."""
    vtable = table - _INT32.unpack_from(buffer, table)[0]
    if vtable < 0:
        raise ValueError("a table before its buffer")
    present = max(0, min((_UINT16.unpack_from(buffer, vtable)[0] - 4) // 2, count))
    offsets = _OFFSETS[present].unpack_from(buffer, vtable + 4)
    return [table + offset if offset else 0 for offset in offsets] + [0] * (count - present)


def indirect(buffer: bytes, at: int) -> int:
    """The place that the offset at `at` points to."""
    place: int = at + UINT32.unpack_from(buffer, at)[0]
    return place


def pairs(buffer: bytes, vector: int) -> dict[bytes, tuple[int, int]]:
    """The keys of a vector of Arrow's KeyValue tables, and where their values stand; the first 64."""
    found = {}
    for index in range(min(UINT32.unpack_from(buffer, vector)[0], _MOST_PAIRS)):
        key, value = fields(buffer, indirect(buffer, vector + 4 + 4 * index), 2)
        if key and value:
            start, stop = _string(buffer, indirect(buffer, key))
            found[buffer[start:stop]] = _string(buffer, indirect(buffer, value))
    return found


def _string(buffer: bytes, at: int) -> tuple[int, int]:
    start = at + UINT32.size
    stop = start + int(UINT32.unpack_from(buffer, at)[0])
    if stop > len(buffer):
        raise ValueError("a string beyond its buffer")
    return start, stop
