"""Lanes: one publisher's messages on one topic, in shared memory.

A lane is a series of segments (see `segment`), its generations; the control segment's lane row names the newest and holds the
head.

The writer stores the payload, then the entry, then the head, and, when its tick ends, commit. Readers go up to commit, so a
fence there orders everything on processors that need one (the writer's before it stores commit or posts a semaphore, the
reader's after it loads commit). Each reader stores its floor, the oldest sequence that it may still need. The writer
overwrites nothing above the lowest floor while it may grow; past `LIMIT` it does, and counts. An entry's first word becomes
zero before its payload's bytes are reused, and a reader checks it before and after it uses the payload: it never returns
torn data.

A subscriber that is more than the lane's capacity behind loses the oldest at the start of its tick, by count and not by
timing, so a run is reproducible.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from horus_core.errors import SharedMemoryFull
from horus_core.memory.control import FREE, L_COMMIT, L_GENERATION, L_HEAD, L_LOST, NEVER, Layout, fence
from horus_core.memory.hotpath import ReaderCore, WriterCore
from horus_core.memory.segment import (
    E_LENGTH,
    E_POSITION,
    E_TICK,
    E_VISIBLE,
    ENTRY_BYTES,
    FIRST_DATA,
    S_SEALED,
    Segment,
    segment_name,
)
from horus_core.memory.shared import SHM, Memory

LIMIT = 1 << 26  # bytes up to which a lane grows for slow readers, less where /dev/shm is small (see `growth_limit`)
_LATCHED = 2  # messages that a latched lane keeps: the last, and the one before it if that is not visible yet
_FORGET = 64  # messages that are let go at once


def growth_limit() -> int:
    """Bytes up to which one lane may grow for readers that lag: LIMIT, or a sixteenth of /dev/shm if that is less."""
    room = os.statvfs(SHM)
    return min(LIMIT, room.f_blocks * room.f_frsize // 16)


def power_of_two(least: int) -> int:
    """The smallest power of two that is at least `least`."""
    return 1 << max(least - 1, 0).bit_length()


class LaneWriter(WriterCore):
    """The one writer of a lane. A writer that is made anew (after a crash) goes on where the last one stopped.

    Args:
        memory, control, layout: the graph's.
        lane: its number.
        capacity: messages that a subscriber may be behind.
        wait_for_recorder: called repeatedly while the lane is at its limit and only the recorder holds it there; returns
            False to give up. None: overwrite, and count.
        lazy: make the first segment with the first message.
        latch: keep the last message, whoever has read it.
    """

    def __init__(
        self,
        memory: Memory,
        control: memoryview,
        layout: Layout,
        lane: int,
        capacity: int,
        wait_for_recorder: Callable[[], bool] | None = None,
        lazy: bool = False,
        latch: bool = False,
    ) -> None:
        row = layout.lane(lane)
        super().__init__(control, row + L_HEAD, row + L_COMMIT)
        self._latched = _LATCHED if latch else 0
        self._memory, self._control, self._lane, self._row = memory, control, lane, row
        self._floors = layout.floor_words(lane)
        self._subscribers = self._floors[:-1] or self._floors
        self._limit = growth_limit()
        self._wait = wait_for_recorder
        self._slots = power_of_two(max(2 * capacity, 64))
        generation = control[row + L_GENERATION]
        self._segment: Segment | None = None
        self._tail = 0
        if generation != NEVER:
            self._adopt(Segment(memory.open(segment_name(lane, generation))))
        elif not lazy:
            self._open(self._slots, FIRST_DATA)

    def _adopt(self, segment: Segment) -> None:
        """Takes over `segment`, which holds whatever an earlier writer left."""
        self._segment, self._words = segment, segment.words
        self._attach(segment.words, segment.data)
        self._words[S_SEALED] = NEVER  # it may have been killed on the way to a next generation
        self._pos, self._tail = 0, self.head
        if self.head > segment.first:
            last = segment.entry(self.head - 1)
            self._pos = self._words[last + E_POSITION] + self._words[last + E_LENGTH]
            self._tail = max(segment.first, self.head - segment.slots)
            while self._words[segment.entry(self._tail)] != self._tail + 1:
                self._tail += 1
        self._set_bounds()

    def _open(self, slots: int, data: int) -> None:
        """Starts the next generation, which begins with the next message."""
        generation = self._control[self._row + L_GENERATION] + 1
        try:
            segment = Segment.create(self._memory, self._lane, generation, self.head, slots, data)
        except FileExistsError:  # a writer was killed before it announced its next generation
            self._memory.remove(segment_name(self._lane, generation))
            segment = Segment.create(self._memory, self._lane, generation, self.head, slots, data)
        if self._segment is not None:
            fence()
            self._segment.words[S_SEALED] = self.head
        self._segment, self._words = segment, segment.words
        self._attach(segment.words, segment.data)
        self._pos, self._tail = 0, self.head
        self._set_bounds()
        fence()
        self._control[self._row + L_GENERATION] = generation
        self._forget(generation)

    def _forget(self, generation: int) -> None:
        """Removes older generations that no reader needs; an error-free no-op for those gone already."""
        needed = min(min(self._control[word] for word in self._floors), self._latched_from())
        for older in range(max(0, generation - 3), generation):
            try:
                segment = Segment(self._memory.open(segment_name(self._lane, older)))
            except (FileNotFoundError, KeyError):
                continue
            if segment.stop <= needed and needed != FREE:
                self._memory.remove(segment_name(self._lane, older))

    def _latched_from(self) -> int:
        """The first sequence that is kept although nobody may need it."""
        return max(0, self.committed - self._latched) if self._latched else FREE

    def _set_bounds(self) -> None:
        self._slots_end = self._tail + self._mask + 1
        behind = self._words[8 + (self._tail & self._mask) * 8 + E_POSITION] if self._tail < self.head else self._pos
        self._room_end = behind + self._data_mask + 1

    def commit_as(self, visible: int) -> None:
        """Lets readers have what was put, from tick `visible` on."""
        for sequence in range(max(self.committed, self._segment.first if self._segment else 0), self.head):
            self._words[8 + (sequence & self._mask) * 8 + E_VISIBLE] = visible
        self.commit()

    def _make_room(self, size: int) -> None:
        """Moves the position to where `size` bytes fit: by letting old messages go, else by growing."""
        if self._segment is None:
            self._open(self._slots, max(FIRST_DATA, power_of_two(2 * size)))
        while not self._fits(size):
            floor = min(
                min(self._control[word] for word in self._floors),
                self.committed if self.committed < self.head else FREE,
                self._latched_from(),
            )
            if self._tail < min(floor, self.head):
                self._let_go(min(floor, self.head))
            elif not self._grow(size):
                self._wait_or_overwrite()

    def _fits(self, size: int) -> bool:
        if size > self._data_mask + 1:
            return False
        offset = self._pos & self._data_mask
        pos = self._pos if offset + size <= self._data_mask + 1 else self._pos + self._data_mask + 1 - offset
        if self._tail == self.head:  # nothing to keep: begin wherever it fits
            self._pos = pos
            self._set_bounds()
            return True
        if self.head < self._slots_end and pos + size <= self._room_end:
            self._pos = pos
            return True
        return False

    def _let_go(self, floor: int) -> None:
        """Forgets messages below `floor`: at least the oldest, and some more so that this is rare; about half of the lane, or
        of what it has bytes for, stays for those who look on.

        Their entries become invalid before their bytes can be reused.
        """
        kept = min(self._mask + 1, self.head - self._tail) // 2
        stop = min(floor, max(self._tail + 1, min(self._tail + _FORGET, self.head - kept)))
        for sequence in range(self._tail, stop):
            self._words[8 + (sequence & self._mask) * 8] = 0
        fence()
        self._tail = stop
        self._set_bounds()

    def _grow(self, size: int) -> bool:
        slots, data = self._mask + 1, self._data_mask + 1
        if size > data // 2:
            data = power_of_two(2 * size)
        elif self.head >= self._slots_end:
            slots *= 2
        else:
            data *= 2
        uncommitted = self.head - self.committed
        whole = self._data_mask + 1
        needed = size > whole or uncommitted * 2 > self._mask + 1 or self._uncommitted_bytes() * 2 > whole
        # Where the graph waits for everybody, a subscriber is never more than a tick behind: it loses nothing.
        needed = needed or (
            self._wait is not None and min(self._control[word] for word in self._subscribers) <= self._tail
        )
        if not needed and slots * ENTRY_BYTES + data > max(self._limit, 4 * size):
            return False
        try:
            self._open(slots, data)
        except SharedMemoryFull:
            if size > whole or self._tail >= self.committed:
                raise
            return False
        return True

    def _uncommitted_bytes(self) -> int:
        first = max(self.committed, self._tail)
        if first >= self.head:
            return 0
        return self._pos - self._words[8 + (first & self._mask) * 8 + E_POSITION]

    def _wait_or_overwrite(self) -> None:
        """The lane is at its limit: waits for the recorder if it alone holds the lane, else loses the oldest message."""
        floors = [self._control[word] for word in self._floors]
        if self._wait is not None and floors[-1] < min([*floors[:-1], self.committed]) and self._wait():
            return
        self._control[self._row + L_LOST] += 1
        self._let_go(self._tail + 1)


class LaneReader(ReaderCore):
    """Reads a lane, without ever holding up its writer.

    Args:
        memory, control, layout: the graph's.
        lane: its number.
        reader: the position of the reading node; None for the recorder, or for an observer that has no floor.
        capacity: messages that it may be behind at the start of a tick.
        observe: True for an observer.
        latch: begin with the last message that there is.
    """

    def __init__(
        self,
        memory: Memory,
        control: memoryview,
        layout: Layout,
        lane: int,
        reader: int | None = None,
        capacity: int = FREE,
        observe: bool = False,
        latch: bool = False,
    ) -> None:
        self._latch = latch
        row = layout.lane(lane)
        floor = NEVER if observe else layout.floor(lane, reader)
        super().__init__(control, row + L_COMMIT, row + L_GENERATION, floor, capacity)
        self._memory, self._control, self._lane, self._row = memory, control, lane, row
        self._segments: list[Segment] = []

    def _visible(self, end: int, limit: int) -> int:
        while end > self.end and self.word(end - 1, E_VISIBLE) > limit:
            end -= 1
        return end

    def start_at(self, visible: int) -> None:
        """Places the cursor behind all committed messages that became visible before tick `visible`; before the last of them
        if the lane is latched."""
        self.follow()  # while the cursor is at 0, so that no generation is forgotten
        self.cursor = self.end = self._control[self._row + L_COMMIT]
        if self.end:
            while (
                self.cursor > 0 and self._holding(self.cursor - 1) and self.word(self.cursor - 1, E_VISIBLE) >= visible
            ):
                self.cursor -= 1
            if self._latch and self.cursor > 0 and self._holding(self.cursor - 1):
                self.cursor -= 1
            self.end = self.cursor

    def follow(self) -> None:
        """Maps generations that the writer made since, and forgets those that are read."""
        newest = self._control[self._row + L_GENERATION]
        for generation in range(self._generation + 1, newest + 1):
            try:
                self._segments.append(Segment(self._memory.open(segment_name(self._lane, generation))))
            except (FileNotFoundError, KeyError):
                continue  # the writer removed it: all readers were past it
        self._generation = newest
        self._segments = [segment for segment in self._segments if segment.stop > self.cursor] or self._segments[-1:]
        self._stop = 0
        self._attach(None, None)

    def _holding(self, sequence: int) -> Segment | None:
        """The segment with the entry of `sequence`, None if it was overwritten."""
        for segment in self._segments:
            if segment.first <= sequence < segment.stop:
                return segment if segment.words[segment.entry(sequence)] == sequence + 1 else None
        return None

    def word(self, sequence: int, which: int) -> int:
        """A word of the entry of `sequence`, FREE if it was overwritten."""
        segment = self._holding(sequence)
        return segment.words[segment.entry(sequence) + which] if segment else FREE

    def segments(self) -> list[Segment]:
        """The mapped generations, oldest first."""
        return self._segments

    def set_visible(self, first: int, stop: int, visible: int, sent_in: int | None = None) -> None:
        """Sets from when the messages `first` to `stop` - 1 are visible, and their tick; only for who commits them."""
        if self._control[self._row + L_GENERATION] != self._generation:
            self.follow()
        for sequence in range(first, stop):
            segment = self._holding(sequence)
            if segment is not None:
                segment.words[segment.entry(sequence) + E_VISIBLE] = visible
                if sent_in is not None:
                    segment.words[segment.entry(sequence) + E_TICK] = sent_in

    def peek_tick(self) -> int:
        """The tick of the next message; only if there is one."""
        return self.word(self.cursor, E_TICK)

    def _select(self, sequence: int) -> None:
        self._stop = sequence + 1
        for segment in self._segments:
            stop = segment.stop
            if segment.first <= sequence < stop:
                # An open segment may be sealed at any later message, but never below what is committed now.
                self._stop = min(stop, self.end)
                self._attach(segment.words, segment.data)
                return
        self._attach(None, None)
