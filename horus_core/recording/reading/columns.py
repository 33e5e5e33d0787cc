"""Many msgpack messages of one form, read as columns without decoding them one by one.

Messages of a topic mostly differ in their numbers only: same keys, same types, same length. A :class:`Layout` is that form,
read off one message: which bytes are the same in all of them, and where the values stand. Whether a message has it is a
comparison of bytes, and its values are strided views: some 20 ns per message, against 400 for decoding.

What has no fixed place (maps with other keys than strings, extensions other than NumPy's) has no layout and is decoded
message by message; so is a string that is not ASCII, because its bytes would have to be checked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from horus_core.messages.value_offsets import NoSlots, Slot, slots_of
from horus_core.recording.reading.messages import Messages

LARGEST = 1 << 14  # bytes of a message that is given a layout
_MOST_MISSES = 8  # layouts with few messages, after which the rest is decoded one by one
_FEW = 16
_WORD = 8


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
        try:
            return Layout(message, *slots_of(message))
        except NoSlots:
            return None

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
