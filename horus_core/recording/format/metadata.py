"""The metadata of a frame: a flatbuffer that says what its body holds.

The frames of a file mostly differ in a few numbers only, so their metadata is taken apart once: a :class:`Form` knows where
the numbers stand, and fits where all other bytes are the same. Sessions of many small batches read twice as fast for it.
"""

from __future__ import annotations

import struct

from horus_core.recording.format.flatbuffers import INT64, UINT32, fields, indirect, pairs

SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_CODECS = ("lz4", "zstd")
_MOST_FORMS = 8  # of one length
_Span = tuple[int, int]


class Form:
    """Where the numbers of a frame's metadata stand.

    Args:
        metadata: of one frame.

    Raises:
        struct.error, IndexError, ValueError: it is not such a flatbuffer.

    Attributes:
        kind: SCHEMA, DICTIONARY or BATCH, or what else Arrow knows.
        codec: how each buffer is compressed: "lz4", "zstd" or "" for not at all.
    """

    __slots__ = ("_buffers", "_buffers_at", "_fixed", "_parts", "_rows_at", "_size_at", "_values", "codec", "kind")

    def __init__(self, metadata: bytes) -> None:
        _, kind_at, header_at, self._size_at, custom_at = fields(metadata, UINT32.unpack_from(metadata, 0)[0], 5)
        self.kind = metadata[kind_at] if kind_at else 0
        self.codec, self._rows_at, self._buffers_at = "", 0, 0
        self._buffers = struct.Struct("")
        varying = [(self._size_at, self._size_at + INT64.size)] if self._size_at else []
        if self.kind in (DICTIONARY, BATCH):
            varying += self._read_batch(metadata, indirect(metadata, header_at))
        found = pairs(metadata, indirect(metadata, custom_at)) if custom_at else {}
        self._values = list(found.items())
        self._parts = _between([*varying, *found.values()], len(metadata))
        self._fixed = self._without_numbers(metadata)

    def _read_batch(self, metadata: bytes, table: int) -> list[_Span]:
        """Finds what describes the rows of a batch or a dictionary; gives where its numbers stand."""
        if self.kind == DICTIONARY:
            table = indirect(metadata, fields(metadata, table, 2)[1])
        self._rows_at, nodes_at, buffers_at, codec_at = fields(metadata, table, 4)
        spans = [(self._rows_at, self._rows_at + INT64.size)] if self._rows_at else []
        if nodes_at:
            spans.append(_numbers(metadata, indirect(metadata, nodes_at)))
        if buffers_at:
            start, stop = _numbers(metadata, indirect(metadata, buffers_at))
            self._buffers_at, self._buffers = start, struct.Struct(f"<{(stop - start) // INT64.size}q")
            spans.append((start, stop))
        if codec_at:
            at = fields(metadata, indirect(metadata, codec_at), 1)[0]
            self.codec = _CODECS[metadata[at] if at else 0]
        return spans

    def fits(self, metadata: bytes) -> bool:
        """Whether other metadata of the same length has this form."""
        return self._without_numbers(metadata) == self._fixed

    def _without_numbers(self, metadata: bytes) -> bytes:
        return b"".join([metadata[part] for part in self._parts])

    def body_size(self, metadata: bytes) -> int:
        """The length of the frame's body."""
        return int(INT64.unpack_from(metadata, self._size_at)[0]) if self._size_at else 0

    def rows(self, metadata: bytes) -> int:
        """How many rows a batch or dictionary has."""
        return int(INT64.unpack_from(metadata, self._rows_at)[0]) if self._rows_at else 0

    def buffers(self, metadata: bytes) -> tuple[int, ...]:
        """Offset in the body and length of each buffer, one after the other."""
        return self._buffers.unpack_from(metadata, self._buffers_at)

    def custom_metadata(self, metadata: bytes) -> dict[bytes, bytes]:
        """Keys and values."""
        return {key: metadata[start:stop] for key, (start, stop) in self._values}


class Forms:
    """The forms that were met in a file."""

    def __init__(self) -> None:
        self._known: dict[int, list[Form]] = {}

    def of(self, metadata: bytes) -> Form:
        """The form of a frame's metadata.

        Raises:
            struct.error, IndexError, ValueError: it is not such a flatbuffer.
        """
        known = self._known.setdefault(len(metadata), [])
        for place, form in enumerate(known):
            if form.fits(metadata):
                if place:
                    known.insert(0, known.pop(place))
                return form
        known.insert(0, Form(metadata))
        del known[_MOST_FORMS:]
        return known[0]


def _numbers(metadata: bytes, vector: int) -> _Span:
    """Where the pairs of int64 of a vector stand."""
    start = vector + UINT32.size
    stop = start + 2 * INT64.size * int(UINT32.unpack_from(metadata, vector)[0])
    if stop > len(metadata):
        raise ValueError("a vector beyond its buffer")
    return start, stop


def _between(spans: list[_Span], size: int) -> list[slice]:
    """What of `size` bytes lies outside of all spans."""
    parts, place = [], 0
    for start, stop in sorted(spans):
        if start > place:
            parts.append(slice(place, start))
        place = max(place, stop)
    return [*parts, slice(place, size)]
