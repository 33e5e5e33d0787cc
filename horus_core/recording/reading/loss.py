"""Which messages a recording should hold and does not: every lane counts its messages, so each missing one shows."""

from __future__ import annotations

import msgspec
import numpy as np

_MOST_HOLES = 100  # per lane; more are counted but not listed


class Hole(msgspec.Struct, frozen=True):
    """Messages that are missing.

    Attributes:
        topic, node: the lane.
        first, stop: the sequence numbers from `first` up to, not including, `stop` are missing.
        after_tick: they were sent in this tick or later; -1: from the start.
        before_tick: they were sent in this tick or earlier; -1: up to the end.
    """

    topic: str
    node: str
    first: int
    stop: int
    after_tick: int
    before_tick: int

    @property
    def messages(self) -> int:
        """How many are missing."""
        return self.stop - self.first


class LaneCount:
    """Counts the messages of one lane and notes what is missing between them.

    Args:
        topic, node: the lane.
        from_start: whether the recording should begin with the lane's first message.

    Attributes:
        messages, size: what is there, in messages and in bytes.
        lost: how many are missing.
        holes: where; the first 100.
    """

    def __init__(self, topic: str, node: str, from_start: bool) -> None:
        self.topic, self.node = topic, node
        self.messages = self.size = self.lost = 0
        self.holes: list[Hole] = []
        self._next: int | None = 0 if from_start else None
        self._tick = -1

    def add(self, sequences: np.ndarray, ticks: np.ndarray, size: int) -> None:
        """Counts messages in the order in which they were sent, `size` bytes in all."""
        if not len(sequences):
            return
        self.messages += len(sequences)
        self.size += size
        expected = np.empty(len(sequences), dtype=np.int64)
        expected[0] = sequences[0] if self._next is None else self._next
        expected[1:] = sequences[:-1] + 1
        for place in np.flatnonzero(sequences > expected):
            before = int(ticks[place - 1]) if place else self._tick
            self._miss(int(expected[place]), int(sequences[place]), before, int(ticks[place]))
        self._next, self._tick = int(sequences[-1]) + 1, int(ticks[-1])

    def end(self, known: int) -> None:
        """Ends the count, where other nodes could read messages up to, not including, the sequence `known`."""
        if known > (self._next or 0) and (self._next is not None or self.messages):
            self._miss(self._next or 0, known, self._tick, -1)

    def _miss(self, first: int, stop: int, after: int, before: int) -> None:
        self.lost += stop - first
        if len(self.holes) < _MOST_HOLES:
            self.holes.append(Hole(self.topic, self.node, first, stop, after, before))
