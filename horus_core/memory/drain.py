"""Takes the messages of a lane out of shared memory, as arrays, with no work per message."""

from __future__ import annotations

import numpy as np

from horus_core.memory.control import FREE, L_COMMIT, L_GENERATION, L_HEAD, NEVER, Layout, fence
from horus_core.memory.segment import E_LENGTH, E_POSITION, E_TICK, Segment, segment_name
from horus_core.memory.shared import Memory

_COLUMNS = 8

Slice = tuple[np.ndarray, np.ndarray]  # index rows of shape (n, 8), payload bytes


class Drain:
    """Reads one lane for the recorder.

    Attributes:
        cursor: the next sequence to take.
        lost: messages that the writer pushed out before they were taken.
        lost_before: the sequence that follows the last one lost.
    """

    def __init__(self, memory: Memory, control: memoryview, layout: Layout, lane: int) -> None:
        self._memory, self._control, self._lane = memory, control, lane
        self._row, self._floor = layout.lane(lane), layout.floor(lane, None)
        self._generation = NEVER
        self._segments: list[tuple[Segment, np.ndarray, np.ndarray]] = []
        self.cursor = int(control[self._floor])  # where a recorder that was killed had written up to
        self.lost = self.lost_before = 0

    def release(self, sequence: int) -> None:
        """Lets the writer reuse everything below `sequence`."""
        self._control[self._floor] = sequence

    def tick_within(self, size: int) -> int:
        """The tick up to which there are about `size` bytes to take; FREE if there are no more in all.

        So large messages are handed on, and their room let go, piece by piece, and the node need not wait for all of them.
        """
        end = self._control[self._row + L_COMMIT]
        if end <= self.cursor:
            return FREE
        fence()
        if self._control[self._row + L_GENERATION] != self._generation:
            self._follow()
        for segment, index, _ in self._segments:
            stop = min(end, segment.stop)
            if not segment.first <= self.cursor < stop:
                continue
            first, last = index[self.cursor & segment.mask], index[(stop - 1) & segment.mask]
            start = int(first[E_POSITION])
            if last[E_POSITION] + last[E_LENGTH] - start <= size:
                return FREE
            rows = index[np.arange(self.cursor, stop) & segment.mask]
            fitting = np.searchsorted(rows[:, E_POSITION] + rows[:, E_LENGTH], start + size, "right")
            return int(rows[max(int(fitting) - 1, 0), E_TICK])
        return FREE

    def take(self, last_tick: int = FREE, all_written: bool = False) -> list[Slice]:
        """Copies of what was committed since, up to `last_tick`; with `all_written`, also what was not committed."""
        end = self._control[self._row + (L_HEAD if all_written else L_COMMIT)]
        if end <= self.cursor:
            return []
        fence()
        if self._control[self._row + L_GENERATION] != self._generation:
            self._follow()
        slices: list[Slice] = []
        for segment, index, data in self._segments:
            while self.cursor < min(end, segment.stop):
                if self.cursor < segment.first:
                    self.lose(segment.first)
                    continue
                first = self.cursor & segment.mask
                count = min(min(end, segment.stop) - self.cursor, segment.slots - first)
                rows = index[first : first + count].copy()
                if self._overwritten(rows):
                    continue
                rows = rows[: np.searchsorted(rows[:, E_TICK], last_tick, "right")]
                if not len(rows):
                    return slices
                payload = _gather(rows, data, segment.data_mask)
                if index[first, 0] != rows[0, 0]:  # overwritten while it was copied
                    continue
                slices.append((rows, payload))
                self.cursor += len(rows)
                if len(rows) < count:
                    return slices
        self._segments = [entry for entry in self._segments if entry[0].stop > self.cursor]
        return slices

    def skip(self) -> None:
        """Goes on behind what was committed, of which nobody wants anything, and lets the writer reuse it."""
        self.cursor = max(self.cursor, int(self._control[self._row + L_COMMIT]))
        self.release(self.cursor)

    def lose(self, cursor: int) -> None:
        """Goes on at `cursor`; what lies between is not to be had."""
        self.lost += cursor - self.cursor
        self.cursor = self.lost_before = cursor

    def _overwritten(self, rows: np.ndarray) -> bool:
        """Moves the cursor past entries that the writer has reused; True if there were any."""
        expected = np.arange(self.cursor + 1, self.cursor + 1 + len(rows))
        wrong = np.flatnonzero(rows[:, 0] != expected)
        if not len(wrong):
            return False
        self.lose(self.cursor + int(wrong[-1]) + 1)
        return True

    def _follow(self) -> None:
        newest = self._control[self._row + L_GENERATION]
        for generation in range(self._generation + 1, newest + 1):
            try:
                segment = Segment(self._memory.open(segment_name(self._lane, generation)))
            except (FileNotFoundError, KeyError):
                continue
            index = np.frombuffer(segment.words, dtype=np.int64)[8:].reshape(-1, _COLUMNS)
            self._segments.append((segment, index, np.frombuffer(segment.data, dtype=np.uint8)))
        self._generation = newest


def release_all(control: memoryview, layout: Layout) -> None:
    """Lets the writers of all lanes go on without a recorder, for good."""
    for lane in range(layout.events + 1):
        control[layout.floor(lane, None)] = FREE


def _gather(rows: np.ndarray, data: np.ndarray, mask: int) -> np.ndarray:
    """The payloads of `rows`, one after the other: one copy per run of payloads that lie side by side."""
    positions, lengths = rows[:, E_POSITION], rows[:, E_LENGTH]
    ends = positions + lengths
    # A run ends where the next payload does not follow, or begins at the start of the ring again.
    breaks = np.flatnonzero((ends[:-1] != positions[1:]) | ((positions[1:] & mask) == 0)) + 1
    if not len(breaks):
        begin = int(positions[0]) & mask
        return data[begin : begin + int(ends[-1] - positions[0])].copy()
    payload = np.empty(int(lengths.sum()), dtype=np.uint8)
    at = 0
    for start, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(rows)], strict=True):
        begin, size = int(positions[start]) & mask, int(ends[stop - 1] - positions[start])
        payload[at : at + size] = data[begin : begin + size]
        at += size
    return payload
