"""Where the values of a msgpack message stand, read off its bytes."""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from horus_core.messages.encoding import EXT_ARRAY, dtype_of

Path = tuple[str | int, ...]

_MOST_SLOTS = 512
_DEEPEST = 16
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


class NoSlots(Exception):
    """The message holds something that has no fixed place, or is no message."""


class Slot(msgspec.Struct, frozen=True):
    """Where a value stands in every message of a layout.

    Attributes:
        path: the keys and list places that lead to it.
        kind: "number", "fixint", "bool", "none", "map" (one without keys), "str", "bytes" or "array" (a NumPy array or
            scalar).
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


def slots_of(message: bytes) -> tuple[list[Slot], np.ndarray]:
    """The values of a message, in order, and which of its bytes they vary in (0xFF, else 0).

    Raises:
        NoSlots: it has none.
    """
    parser = _Parser(message)
    try:
        parser.value((), 0)
    except (struct.error, IndexError, ValueError, TypeError, msgspec.MsgspecError):
        raise NoSlots from None
    if parser.at != len(message):
        raise NoSlots
    return parser.slots, parser.varying


class _Parser:
    """Reads one message and notes where its values stand."""

    def __init__(self, message: bytes) -> None:
        self.message, self.at = message, 0
        self.slots: list[Slot] = []
        self.varying = np.zeros(len(message), np.uint8)

    def value(self, path: Path, depth: int) -> None:
        code = self.message[self.at]
        if len(self.slots) > _MOST_SLOTS or depth > _DEEPEST:
            raise NoSlots
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
            raise NoSlots

    def _slot(self, slot: Slot, size: int, head: int = 0) -> None:
        """Notes a value of `size` bytes behind a head of `head` bytes that is the same in all messages."""
        stop = self.at + head + size
        if stop > len(self.message):
            raise NoSlots
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
            raise NoSlots
        return int.from_bytes(self.message[self.at - width : self.at], "big")

    def _map(self, path: Path, depth: int) -> None:
        keys = set()
        start, count = self.at, self._length(self.message[self.at], 0x80, 0x0F, _MAPS)
        if not count:
            self.slots.append(Slot(path, "map", start))
        for _ in range(count):
            code = self.message[self.at]
            if not (0xA0 <= code <= 0xBF or code in _STRINGS):
                raise NoSlots
            size = self._length(code, 0xA0, 0x1F, _STRINGS)
            key = self.message[self.at : self.at + size].decode()
            if key in keys:
                raise NoSlots
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
            raise NoSlots
        form, shape, raw = msgspec.msgpack.decode(self.message[start : start + size])
        dtype = dtype_of(form)
        if dtype.kind not in "biuf" or self.message[start + size - len(raw) : start + size] != raw:
            raise NoSlots
        shape = tuple(shape) if shape is not None else ()
        if len(raw) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise NoSlots
        strides = np.empty(shape, dtype).strides
        self._slot(
            Slot(path, "array", start + size - len(raw), dtype.str, shape, strides),
            len(raw),
            start + size - len(raw) - self.at,
        )
