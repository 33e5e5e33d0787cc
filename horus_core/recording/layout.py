"""Many msgpack messages of one form, read as columns without decoding them one by one.

Messages of a topic mostly differ in their numbers only: same keys, same types, same length. A :class:`Layout` is that form,
read off one message: which bytes are the same in all of them, and where the values stand. Whether a message has it is a
comparison of bytes, and its values are strided views: some 20 ns per message, against 400 for decoding.

What has no fixed place (maps with other keys than strings, extensions other than NumPy's) has no layout and is decoded
message by message; so is a string that is not ASCII, because its bytes would have to be checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import numpy as np

from horus_core.recording.messages import Messages
from horus_core.values import EXT_ARRAY, dtype_of

Path = tuple[str | int, ...]

LARGEST = 1 << 14  # bytes of a message that is given a layout
_MOST_SLOTS = 512
_DEEPEST = 16
_MOST_MISSES = 8  # layouts with few messages, after which the rest is decoded one by one
_FEW = 16
_WORD = 8
_NUMBERS = {
    0xCA: ">f4",
    0xCB: ">f8",
    0xCC: ">u1",
    0xCD: ">u2",
    0xCE: ">u4",
    0xCF: ">u8",
    0xD0: ">i1",
    0xD1: ">i2",
    0xD2: ">i4",
    0xD3: ">i8",
}
_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}


class _NoLayout(Exception):
    """The message has no layout."""


class Slot(msgspec.Struct, frozen=True):
    """Where a value stands in every message of a layout.

    Attributes:
        path: the keys and list places that lead to it.
        kind: "number", "fixint", "bool", "none", "str", "bytes" or "array" (a NumPy array or scalar).
        at: its first byte.
        dtype: how its bytes read.
        shape: of a list of numbers or an array; () for a single value, (n,) for a string of n bytes.
        strides: distance between its elements in bytes.
    """

    path: Path
    kind: str
    at: int
    dtype: str = "u1"
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """The values of all messages: `matrix` has one message per row."""
        strides = (matrix.strides[0], *self.strides)
        found: np.ndarray = np.ndarray((len(matrix), *self.shape), self.dtype, matrix, self.at, strides)
        if self.kind == "bool":
            flags: np.ndarray = found == 0xC3
            return flags
        if self.kind in ("number", "fixint") and found.dtype.kind in "iu":
            return found.astype(np.uint64 if found.dtype.itemsize == _WORD and found.dtype.kind == "u" else np.int64)
        return found.astype(found.dtype.newbyteorder("="))


class Layout:
    """The form of a message.

    Attributes:
        size: its length in bytes.
        slots: its values, in order.
        nested: whether a list holds anything but numbers of one type.
    """

    def __init__(self, message: bytes, slots: list[Slot], varying: np.ndarray) -> None:
        self.size = len(message)
        self.slots = slots
        self.nested = any(isinstance(step, int) for slot in slots for step in slot.path)
        padded = np.zeros(padded_size(self.size), np.uint8)
        padded[: self.size] = np.frombuffer(message, np.uint8)
        mask = np.zeros(len(padded), np.uint8)
        mask[: self.size] = ~varying
        self._mask = mask.view(np.uint64)
        self._same = padded.view(np.uint64) & self._mask
        self._words = np.flatnonzero(self._mask)

    @staticmethod
    def of(message: bytes) -> Layout | None:
        """The layout of one message, or None where it has none."""
        if not 0 < len(message) <= LARGEST:
            return None
        parser = _Parser(message)
        try:
            parser.value((), 0)
        except (_NoLayout, struct.error, IndexError, ValueError, TypeError, msgspec.MsgspecError):
            return None
        return Layout(message, parser.slots, parser.varying) if parser.at == len(message) else None

    def matches(self, matrix: np.ndarray) -> np.ndarray:
        """Which of the messages, one per row of `matrix`, have this layout."""
        words = matrix.view(np.uint64)
        same = np.ones(len(matrix), dtype=bool)
        for word in self._words:
            same &= (words[:, word] & self._mask[word]) == self._same[word]
        for slot in self.slots:
            if slot.kind in _CHECKS:
                found = matrix[:, slot.at : slot.at + _extent(slot)]
                same &= _CHECKS[slot.kind](found).all(axis=1)
        return same


_CHECKS = {
    "fixint": lambda found: found.view(np.int8) >= -32,
    "bool": lambda found: (found & 0xFE) == 0xC2,
    "str": lambda found: found < 0x80,
}


def _extent(slot: Slot) -> int:
    return slot.shape[0] if slot.shape else 1


def padded_size(size: int) -> int:
    """The width of a matrix of messages of `size` bytes."""
    return -(-size // _WORD) * _WORD


def matrix_of(messages: Messages, rows: np.ndarray, size: int) -> np.ndarray:
    """The payloads of `rows`, which are all `size` bytes long, as a matrix with one of them per row and some padding."""
    width, data, starts = padded_size(size), messages.data, messages.start[rows]
    inside = starts <= len(data) - width
    matrix: np.ndarray
    if inside.all():
        matrix = np.lib.stride_tricks.sliding_window_view(data, width)[starts]
        return matrix
    matrix = np.zeros((len(rows), width), np.uint8)
    if inside.any():
        matrix[inside] = np.lib.stride_tricks.sliding_window_view(data, width)[starts[inside]]
    for row in np.flatnonzero(~inside):
        matrix[row, :size] = data[starts[row] : starts[row] + size]
    return matrix


def by_layout(*sides: tuple[Messages, np.ndarray]) -> Iterator[tuple[Layout | None, np.ndarray, list[np.ndarray]]]:
    """Splits msgpack messages by their layout; of several sides, what stands at one place has one layout on all sides.

    Args:
        sides: messages and which rows of them; as many rows on each side.

    Yields:
        The layout, which places of the rows have it, and a matrix per side; None, places and no matrix for the rest.
    """
    lengths = sides[0][0].length[sides[0][1]]
    alike = np.logical_and.reduce([messages.length[rows] == lengths for messages, rows in sides])
    without = [] if alike.all() else [np.flatnonzero(~alike)]
    for size in np.unique(lengths[alike]).tolist():
        places = np.flatnonzero(alike & (lengths == size))
        if size > LARGEST:
            without.append(places)
            continue
        for layout, found, matrices in _split(
            size, places, [matrix_of(each, rows[places], size) for each, rows in sides]
        ):
            if layout is not None:
                yield layout, found, matrices
            else:
                without.append(found)
    if without:
        yield None, np.concatenate(without), []


def _split(
    size: int, rest: np.ndarray, matrices: list[np.ndarray]
) -> Iterator[tuple[Layout | None, np.ndarray, list[np.ndarray]]]:
    misses = 0
    while len(rest) and misses < _MOST_MISSES:
        layout = Layout.of(matrices[0][0, :size].tobytes())
        same = np.zeros(len(rest), dtype=bool)
        if layout is not None:
            same = np.logical_and.reduce([layout.matches(matrix) for matrix in matrices])
        if not same[0]:
            layout, same = None, np.arange(len(rest)) == 0
        yield layout, rest[same], matrices if same.all() else [matrix[same] for matrix in matrices]
        misses += int(same.sum()) < _FEW
        rest, matrices = rest[~same], [matrix[~same] for matrix in matrices]
    if len(rest):
        yield None, rest, []


class _Parser:
    """Reads one message and notes where its values stand."""

    def __init__(self, message: bytes) -> None:
        self.message, self.at = message, 0
        self.slots: list[Slot] = []
        self.varying = np.zeros(len(message), np.uint8)

    def value(self, path: Path, depth: int) -> None:
        code = self.message[self.at]
        if len(self.slots) > _MOST_SLOTS or depth > _DEEPEST:
            raise _NoLayout
        if 0x80 <= code <= 0x8F or code in _MAPS:
            self._map(path, depth)
        elif 0x90 <= code <= 0x9F or code in _LISTS:
            self._list(path, depth)
        elif 0xA0 <= code <= 0xBF or code in _STRINGS:
            self._run(path, "str", self._length(code, 0xA0, 0x1F, _STRINGS))
        elif code in _BYTES:
            self._run(path, "bytes", self._length(code, -1, 0, _BYTES))
        elif code in _EXTENSIONS or code in _FIXED_EXTENSIONS:
            self._extension(path, code)
        elif code in _NUMBERS:
            self._slot(Slot(path, "number", self.at + 1, _NUMBERS[code]), np.dtype(_NUMBERS[code]).itemsize, 1)
        elif code == 0xC0:
            self._slot(Slot(path, "none", self.at), 0, 1)
        elif code in (0xC2, 0xC3):
            self._slot(Slot(path, "bool", self.at), 1)
        elif code <= 0x7F or code >= 0xE0:
            self._slot(Slot(path, "fixint", self.at, "i1"), 1)
        else:
            raise _NoLayout

    def _slot(self, slot: Slot, size: int, head: int = 0) -> None:
        """Notes a value of `size` bytes behind a head of `head` bytes that is the same in all messages."""
        stop = self.at + head + size
        if stop > len(self.message):
            raise _NoLayout
        self.varying[self.at + head : stop] = 0xFF
        self.at = stop
        self.slots.append(slot)

    def _run(self, path: Path, kind: str, size: int) -> None:
        self._slot(Slot(path, kind, self.at, "u1", (size,), (1,)), size)

    def _length(self, code: int, base: int, mask: int, wide: dict[int, int]) -> int:
        """Reads the head of a string, list or map; the place is behind it then."""
        self.at += 1
        if code not in wide:
            return code & mask if base >= 0 else 0
        width = wide[code]
        self.at += width
        if self.at > len(self.message):
            raise _NoLayout
        return int.from_bytes(self.message[self.at - width : self.at], "big")

    def _map(self, path: Path, depth: int) -> None:
        keys = set()
        for _ in range(self._length(self.message[self.at], 0x80, 0x0F, _MAPS)):
            code = self.message[self.at]
            if not (0xA0 <= code <= 0xBF or code in _STRINGS):
                raise _NoLayout
            size = self._length(code, 0xA0, 0x1F, _STRINGS)
            key = self.message[self.at : self.at + size].decode()
            if key in keys:
                raise _NoLayout
            keys.add(key)
            self.at += size
            self.value((*path, key), depth + 1)

    def _list(self, path: Path, depth: int) -> None:
        count = self._length(self.message[self.at], 0x90, 0x0F, _LISTS)
        if not self._uniform_list(path, count):
            for place in range(count):
                self.value((*path, place), depth + 1)

    def _uniform_list(self, path: Path, count: int) -> bool:
        """Notes a list whose items are numbers of one type, or booleans, as one slot."""
        start = self.at
        code = self.message[start] if count else 0
        if code in _NUMBERS:
            width = 1 + np.dtype(_NUMBERS[code]).itemsize
            if self.message[start : start + count * width : width] != bytes([code]) * count:
                return False
            self._slot(Slot(path, "number", start + 1, _NUMBERS[code], (count,), (width,)), count * width)
            self.varying[start : self.at : width] = 0
            return True
        codes = np.frombuffer(self.message, np.int8)[start : start + count]
        if (codes >= -32).all():
            self._slot(Slot(path, "fixint", start, "i1", (count,), (1,)), count)
            return True
        if (codes.view(np.uint8) & 0xFE == 0xC2).all():
            self._slot(Slot(path, "bool", start, "u1", (count,), (1,)), count)
            return True
        return False

    def _extension(self, path: Path, code: int) -> None:
        size = _FIXED_EXTENSIONS.get(code) or self._length(code, -1, 0, _EXTENSIONS)
        start = self.at + 1 if code in _EXTENSIONS else self.at + 2
        if self.message[start - 1] != EXT_ARRAY or start + size > len(self.message):
            raise _NoLayout
        form, shape, raw = msgspec.msgpack.decode(self.message[start : start + size])
        dtype = dtype_of(form)
        if dtype.kind not in "biuf" or self.message[start + size - len(raw) : start + size] != raw:
            raise _NoLayout
        shape = tuple(shape) if shape is not None else ()
        if len(raw) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise _NoLayout
        strides = np.empty(shape, dtype).strides
        self._slot(
            Slot(path, "array", start + size - len(raw), dtype.str, shape, strides),
            len(raw),
            start + size - len(raw) - self.at,
        )
