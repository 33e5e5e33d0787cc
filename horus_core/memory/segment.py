"""A segment of a lane: its index of messages and its ring of bytes, mapped.

A segment is 8 header words, an index ring and a data ring, both with a power of two of places:

    header   first sequence | index slots | data bytes | sealed (the first sequence that is in the next generation, -1: open)
    index    sequence + 1 | tick | visible | monotonic ns | position | length | encoding | spare      (8 words an entry)
    data     payloads, one after the other, never wrapped in the middle; position counts all bytes ever placed
"""

from __future__ import annotations

from horus_core.memory.control import FREE, NEVER
from horus_core.memory.shared import Memory

S_FIRST, S_SLOTS, S_DATA, S_SEALED = range(4)
HEADER_WORDS = 8
E_SEQUENCE, E_TICK, E_VISIBLE, E_TIME, E_POSITION, E_LENGTH, E_ENCODING, E_SPARE = range(8)
ENTRY_WORDS = 8
HEADER_BYTES, ENTRY_BYTES = HEADER_WORDS * 8, ENTRY_WORDS * 8
ALIGN = 64  # bytes, of a payload with arrays
FIRST_DATA = 1 << 17  # bytes of the data ring of a first generation


class Segment:
    """One generation of a lane, mapped.

    Attributes:
        words: the header and the index, as 64-bit words.
        data: the data ring.
    """

    __slots__ = ("data", "data_mask", "first", "mask", "raw", "slots", "words")

    def __init__(self, raw: memoryview) -> None:
        self.raw = raw
        header = raw[:HEADER_BYTES].cast("q")
        self.first, self.slots = header[S_FIRST], header[S_SLOTS]
        start = HEADER_BYTES + self.slots * ENTRY_BYTES
        self.words = raw[:start].cast("q")
        self.data = raw[start : start + header[S_DATA]]
        self.mask, self.data_mask = self.slots - 1, header[S_DATA] - 1

    @classmethod
    def create(cls, memory: Memory, lane: int, generation: int, first: int, slots: int, data: int) -> Segment:
        raw = memory.create(segment_name(lane, generation), HEADER_BYTES + slots * ENTRY_BYTES + data)
        header = raw[:HEADER_BYTES].cast("q")
        header[S_FIRST], header[S_SLOTS], header[S_DATA], header[S_SEALED] = first, slots, data, NEVER
        return cls(raw)

    def entry(self, sequence: int) -> int:
        """The first word of the entry of `sequence`."""
        return 8 + (sequence & self.mask) * 8

    @property
    def stop(self) -> int:
        """The first sequence that is not here but in the next generation; FREE while there is none."""
        sealed = self.words[S_SEALED]
        return FREE if sealed == NEVER else sealed


def segment_name(lane: int, generation: int) -> str:
    """What the segment is called in its graph's memory."""
    return f"{lane}.{generation}"
