"""The two ends of a lane in Python: what writes a message, and what reads the next one."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from horus_core.memory.control import NEVER, fence
from horus_core.memory.segment import ALIGN, E_ENCODING, E_LENGTH, E_POSITION, E_VISIBLE, S_FIRST, S_SEALED
from horus_core.messages.encoding import ARRAYS, Parts

_pack_entry = struct.Struct("<7q").pack_into
_now = time.monotonic_ns


class WriterCore:
    """The writing end of a lane.

    Args:
        control: the control words.
        head_word, commit_word: the places of the lane's ``L_HEAD`` and ``L_COMMIT``.

    Attributes:
        head: messages written.
        committed: messages that readers may have.
    """

    def __init__(self, control: memoryview, head_word: int, commit_word: int) -> None:
        self._control, self._head_word, self._commit_word = control, head_word, commit_word
        self.head: int = control[head_word]
        self.committed: int = control[commit_word]
        self._room_end = self._slots_end = self._pos = 0
        self._mask = self._data_mask = -1  # no room at all, until the first segment

    def _attach(self, words: memoryview, data: memoryview) -> None:
        """Writes into the segment with the header and index `words` and the ring `data` from now on."""
        self._words, self._data = words, data
        self._raw = words.cast("B")
        self._mask, self._data_mask = (len(words) - 8) // 8 - 1, len(data) - 1

    def _make_room(self, size: int) -> None:
        raise NotImplementedError  # of the subclass

    def commit_as(self, visible: int) -> None:
        """Lets readers have what was put, from tick `visible` on."""
        raise NotImplementedError

    def put(self, encoding: int, payload: Any, tick: int, visible: int) -> int:
        """Writes a message: `payload` is bytes, or Parts for ARRAYS. Returns its size in bytes.

        Raises:
            SharedMemoryFull: the payload does not fit and /dev/shm has no room for a larger segment.
        """
        if encoding == ARRAYS:
            size = payload.size if type(payload) is Parts else len(payload)
            self._pos = -(-self._pos // ALIGN) * ALIGN
        else:
            size = len(payload)
        head, pos, mask = self.head, self._pos, self._data_mask
        offset = pos & mask
        end = offset + size
        if head >= self._slots_end or pos + size > self._room_end or end > mask + 1:
            self._make_room(size)
            pos = self._pos
            offset = pos & self._data_mask
            end = offset + size
        if encoding == ARRAYS and type(payload) is Parts:
            payload.write(self._data[offset:end])
        else:
            self._data[offset:end] = payload
        entry = 8 + (head & self._mask) * 8
        _pack_entry(self._raw, entry * 8 + 8, tick, visible, _now(), pos, size, encoding, 0)
        self.head = head = head + 1
        self._words[entry] = head
        self._pos = pos + size
        self._control[self._head_word] = head
        return size

    def commit(self) -> None:
        """Lets readers have what was put."""
        if self.committed != self.head:
            fence()
            self._control[self._commit_word] = self.committed = self.head


class ReaderCore:
    """The reading end of a lane.

    Args:
        control: the control words.
        commit_word, generation_word: the places of the lane's ``L_COMMIT`` and ``L_GENERATION``.
        floor_word: the place of this reader's floor; NEVER for none.
        capacity: messages that it may be behind at the start of a tick.

    Attributes:
        cursor: the sequence of the next message.
        end: one past the last message that it may read now.
        dropped: messages that it lost.
    """

    def __init__(
        self, control: memoryview, commit_word: int, generation_word: int, floor_word: int, capacity: int
    ) -> None:
        self._control, self._commit_word, self._generation_word = control, commit_word, generation_word
        self._floor_word, self.capacity = floor_word, capacity
        self.cursor = self.end = self.dropped = 0
        self._generation = NEVER
        self._stop = 0
        self._words: memoryview | None = None
        self._data: memoryview | None = None

    def _attach(self, words: memoryview | None, data: memoryview | None) -> None:
        """Reads from the segment with the header and index `words` and the ring `data` from now on; from none if None."""
        self._words, self._data = words, data

    def follow(self) -> None:
        """Maps generations that the writer made since, and detaches."""
        raise NotImplementedError  # of the subclass

    def _select(self, sequence: int) -> None:
        """Attaches the segment that has `sequence`, or none."""
        raise NotImplementedError

    def _visible(self, end: int, limit: int) -> int:
        """How far messages up to `end` are visible in tick `limit`, when they may lie in more than one segment."""
        raise NotImplementedError

    def peek_tick(self) -> int:
        """The tick of the next message; only if there is one."""
        raise NotImplementedError

    def open(self, limit: int) -> bool:
        """Fixes what can be read: the committed messages that are visible in tick `limit`. Returns whether any is new.

        Releases what was read before.
        """
        if self._floor_word != NEVER:
            self._control[self._floor_word] = self.cursor
        end: int = self._control[self._commit_word]
        if end == self.end:
            return False
        fence()
        if self._control[self._generation_word] != self._generation:
            self.follow()
        old, words = self.end, self._words
        if words is not None and words[S_SEALED] == NEVER and old >= words[S_FIRST]:
            # The usual case: one open segment holds all that is new.
            mask = (len(words) - 8) // 8 - 1
            while end > old:
                entry = 8 + ((end - 1) & mask) * 8
                if words[entry] == end and words[entry + E_VISIBLE] <= limit:
                    break
                end -= 1
            self._stop = end
        else:
            end = self._visible(end, limit)
        self.end = end
        if end - self.cursor > self.capacity:
            self.dropped += end - self.capacity - self.cursor
            self.cursor = end - self.capacity
        return end > old

    @property
    def all_seen(self) -> bool:
        """Whether :meth:`open` found all that is committed visible."""
        return bool(self.end == self._control[self._commit_word])

    def take(self, decode: Callable[[int, memoryview], Any]) -> tuple[bool, Any]:
        """Reads the next message.

        Args:
            decode: makes the value of an encoding and a payload, which is valid only within the call (and until the next
                :meth:`open` if the message is not lost).

        Returns:
            (True, value), or (False, None) if messages up to the end were overwritten.
        """
        while self.cursor < self.end:
            sequence = self.cursor
            if sequence >= self._stop:
                self._select(sequence)
            words, data = self._words, self._data
            self.cursor = sequence + 1
            if words is not None and data is not None:
                entry = 8 + (sequence & ((len(words) - 8) // 8 - 1)) * 8
                offset, size = words[entry + E_POSITION] & (len(data) - 1), words[entry + E_LENGTH]
                if words[entry] == sequence + 1 and 0 <= size <= len(data) - offset:
                    try:
                        value = decode(words[entry + E_ENCODING], data[offset : offset + size])
                    except Exception:
                        if words[entry] == sequence + 1:
                            raise
                    else:
                        if words[entry] == sequence + 1:
                            return True, value
            self.dropped += 1
        return False, None
