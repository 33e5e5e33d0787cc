"""The hot path in Python: what runs where ``native.c`` was not compiled, and says in few words what that does."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import posix_ipc

from horus_core.memory.control import (
    BUCKETS,
    H_ADMITTED,
    H_EXTERNAL,
    H_RELAY,
    H_RELEASED,
    H_SAFE_MODE,
    H_STOP,
    H_STOP_ASKED,
    N_BUSY,
    N_BUSY_LAST,
    N_BUSY_MAX,
    N_BUSY_MIN,
    N_CURRENT,
    N_DROPPED,
    N_FINISHED,
    N_OVERRUNS,
    N_RECEIVED,
    N_SENT,
    N_SENT_BYTES,
    N_STARTED,
    N_STOP,
    N_TICKS,
    NEVER,
    fence,
)
from horus_core.memory.hotpath.turn import ORPHAN, READY, SAFE, STOP
from horus_core.messages.encoding import ARRAYS, RAW, Parts

if TYPE_CHECKING:
    from horus_core.memory.lane import LaneReader, LaneWriter

_S_FIRST, _S_SEALED = 0, 3
_E_TICK, _E_VISIBLE, _E_POSITION, _E_LENGTH, _E_ENCODING = 1, 2, 4, 5, 6
_ALIGN = 64
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

    def put(self, encoding: int, payload: Any, tick: int, visible: int) -> int:
        """Writes a message: `payload` is bytes, or Parts for ARRAYS. Returns its size in bytes.

        Raises:
            SharedMemoryFull: the payload does not fit and /dev/shm has no room for a larger segment.
        """
        if encoding == ARRAYS:
            size = payload.size if type(payload) is Parts else len(payload)
            self._pos = -(-self._pos // _ALIGN) * _ALIGN
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
        if words is not None and words[_S_SEALED] == NEVER and old >= words[_S_FIRST]:
            # The usual case: one open segment holds all that is new.
            mask = (len(words) - 8) // 8 - 1
            while end > old:
                entry = 8 + ((end - 1) & mask) * 8
                if words[entry] == end and words[entry + _E_VISIBLE] <= limit:
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
                offset, size = words[entry + _E_POSITION] & (len(data) - 1), words[entry + _E_LENGTH]
                if words[entry] == sequence + 1 and 0 <= size <= len(data) - offset:
                    try:
                        value = decode(words[entry + _E_ENCODING], data[offset : offset + size])
                    except Exception:
                        if words[entry] == sequence + 1:
                            raise
                    else:
                        if words[entry] == sequence + 1:
                            return True, value
            self.dropped += 1
        return False, None


Outlet = tuple["LaneWriter", Callable[[Any], tuple[int, Any]], Any, Any, Any]
Inbox = tuple[tuple["LaneReader", ...], Callable[..., Any], Callable[..., Any], Any]


class TickCore:
    """A node's part in a tick, but for the callback.

    Attributes:
        tick: the tick that runs.
        visible: the tick from which others see what it sends.
        started: when the tick began, monotonic ns.
        duration: ns that its callback took.
        previous: the tick that it ran before this one.
    """

    def _equip(
        self,
        control: memoryview,
        row: int,
        histogram: int,
        budget_ns: int,
        inputs: Sequence[tuple[LaneReader, int]],
        external: Sequence[LaneReader],
        readers: Sequence[LaneReader],
        trigger: Sequence[LaneReader],
        writers: Sequence[LaneWriter],
        trace: LaneWriter,
        outlets: dict[str, Outlet],
        inboxes: dict[str, Inbox],
    ) -> None:
        """What the node reads and writes.

        Args:
            row, histogram: places in `control`.
            inputs: the lanes of the graph that it hears, each with 0 or 1 ticks of lag.
            external: those from outside.
            readers: both, in the order of a tick row.
            trigger: of these, those of the topic that it runs on.
            writers: its lanes.
            trace: the lane of its tick rows.
            outlets: per topic the lane, and how to encode: in general; then, for an untyped topic, how to pack a value,
                the list that holds the arrays that packing met, and how to go on if there are any.
            inboxes: per topic the lanes, how to decode with and without a copy, and how to unpack a msgpack object.
        """
        self._control, self._row, self._histogram, self._budget_ns = control, row, histogram, budget_ns
        self._inputs, self._external, self._readers, self._trigger = inputs, external, readers, trigger
        self._lanes, self._trace, self._outlets, self._inboxes = writers, trace, outlets, inboxes
        self._pack_trace = struct.Struct(f"<{5 + 3 * len(readers)}q").pack
        self._external_seen = 0
        self.tick = self.visible = 0
        self.started = self.duration = 0
        self.previous = NEVER
        self._bounds: list[int] = []

    def _unknown(self, verb: str, topic: str) -> None:
        raise NotImplementedError  # of the subclass

    def _failed(self, problem: Exception) -> bool:
        """The callback raised `problem`. Returns whether the node goes on."""
        raise NotImplementedError

    def begin(self, tick: int, out: bool, safe: bool) -> bool:
        """Fixes what the node receives in `tick`.

        Args:
            out: it does not run in this tick, whatever it heard.
            safe: it runs, whatever it heard.

        Returns:
            Whether it runs.
        """
        started = _now()
        control, row, trigger = self._control, self._row, self._trigger
        heard = sum([reader.end for reader in trigger]) if trigger else 0
        for reader, lag in self._inputs:
            reader.open(tick - lag)
        if control[H_ADMITTED] != self._external_seen:
            self._external_seen = control[H_ADMITTED]
            for reader in self._external:
                reader.open(tick)
        if out or (trigger and not safe and heard == sum([reader.end for reader in trigger])):
            return False
        self.tick = tick
        control[row + N_CURRENT] = tick
        control[row + N_STARTED] = self.started = started
        bounds = self._bounds
        bounds.clear()
        for reader in self._readers:
            bounds.append(reader.cursor)
            bounds.append(reader.end)
        return True

    def ended(self) -> None:
        """The callback has returned."""
        self.duration = _now() - self.started
        self.previous = self.tick

    def conclude(self, status: int, visible: int = NEVER) -> None:
        """Makes the outputs visible, from tick `visible` on if it is given, and writes the tick's row."""
        if visible == NEVER:
            for writer in self._lanes:
                if writer.committed != writer.head:
                    writer.commit()
        else:
            self.visible = visible
            for writer in self._lanes:
                writer.commit_as(visible)
        control, row, duration = self._control, self._row, self.duration
        words: list[int] = []
        bounds, dropped, received, at = self._bounds, 0, 0, 0
        for reader in self._readers:
            first, stop = bounds[at], reader.cursor
            words += (first, stop, bounds[at + 1])
            received += stop - first
            dropped += reader.dropped
            at += 2
        self._trace.put(
            RAW,
            self._pack_trace(self.started, duration, status, self.visible, dropped, *words),
            self.tick,
            self.visible,
        )
        self._trace.commit()
        control[row + N_TICKS] += 1
        control[row + N_BUSY] += duration
        control[row + N_BUSY_LAST] = duration
        if duration > control[row + N_BUSY_MAX]:
            control[row + N_BUSY_MAX] = duration
        if duration < control[row + N_BUSY_MIN]:
            control[row + N_BUSY_MIN] = duration
        if duration > self._budget_ns:
            control[row + N_OVERRUNS] += 1
        if received:
            control[row + N_RECEIVED] += received
        if dropped:
            control[row + N_DROPPED] = dropped
        control[self._histogram + bucket_of(duration)] += 1
        control[row + N_CURRENT] = NEVER

    def send(self, topic: str, data: Any) -> bool:
        """Encodes `data` and puts it into the topic's lane."""
        outlet = self._outlets.get(topic)
        if outlet is None:
            self._unknown("send", topic)
            return False
        encoding, payload = outlet[1](data)
        size = outlet[0].put(encoding, payload, self.tick, self.visible)
        control, row = self._control, self._row
        control[row + N_SENT] += 1
        control[row + N_SENT_BYTES] += size
        return True

    def recv(self, topic: str, copy: bool = True) -> Any:
        """The oldest unread message."""
        inbox = self._inboxes.get(topic)
        if inbox is None:
            return self._unknown("recv", topic)
        while (reader := _oldest(inbox[0])) is not None:
            found, value = reader.take(inbox[1] if copy else inbox[2])
            if found:
                return value
        return None

    def recv_all(self, topic: str, copy: bool = True) -> list[Any]:
        """All unread messages, oldest first."""
        messages: list[Any] = []
        inbox = self._inboxes.get(topic)
        if inbox is None:
            self._unknown("recv", topic)
            return messages
        while (reader := _oldest(inbox[0])) is not None:
            found, value = reader.take(inbox[1] if copy else inbox[2])
            if found:
                messages.append(value)
        return messages


def _oldest(readers: Sequence[LaneReader]) -> LaneReader | None:
    """The reader whose next message is the oldest by (tick, publisher's position); None if all are read."""
    oldest: LaneReader | None = None
    for reader in readers:
        if reader.cursor < reader.end and (oldest is None or reader.peek_tick() < oldest.peek_tick()):
            oldest = reader
    return oldest


def bucket_of(duration: int) -> int:
    """The histogram bucket of a duration in ns: four per power of two.

    >>> bucket_of(1000), bucket_of(1200), bucket_of(2000)
    (43, 44, 47)
    """
    bits = duration.bit_length()
    return min(BUCKETS - 1, bits * 4 + (duration >> (bits - 3) & 3)) if bits > 2 else duration


class Turn:
    """When it is a node's turn, and who is next.

    Args:
        control, row: the control words, and where this node's begin.
        go: the semaphore that wakes this node.
        ticket: that of its tickets; None in lockstep.
        done: the coordinator's.
        parent: the supervisor's process.
        poll_ns: how long it sleeps at most before it looks whether the supervisor lives.
        spin_ns: how long it looks at the words before it sleeps.
        needs: per node to wait for, the places of its finished and excused words, its jobs per ticks (0, 0 if it runs
            whenever this one does), and 0 or 1 ticks back.
        hearers: per node that waits for this one, its semaphore and its jobs per ticks (0, 0: whenever this one runs).
        sources: the semaphores of those that begin a tick, if this node may release the next one; else empty.
        jobs, ticks: how often this node runs.
        ends: whether it wakes the coordinator.
    """

    def __init__(
        self,
        control: memoryview,
        row: int,
        go: posix_ipc.Semaphore,
        ticket: posix_ipc.Semaphore | None,
        done: posix_ipc.Semaphore,
        parent: int,
        poll_ns: int,
        spin_ns: int,
        needs: Sequence[tuple[int, int, int, int, int]],
        hearers: Sequence[tuple[posix_ipc.Semaphore, int, int]],
        sources: Sequence[posix_ipc.Semaphore],
        jobs: int,
        ticks: int,
        ends: bool,
    ) -> None:
        self._control, self._row, self._go, self._parent = control, row, go, parent
        self._poll, self._spin_ns = poll_ns * 1e-9, spin_ns
        self._needs, self._hearers, self._done, self._sources = needs, hearers, done, sources

    def run(
        self, core: TickCore, callback: Callable[..., Any], node: Any, clock: Any, tick: int, most: int
    ) -> tuple[int, int, int]:
        """Runs up to `most` ticks of a node with nothing special, from `tick` on: no safe mode, no replay, no compute.

        Returns:
            The next tick; READY, or why it stopped before; whether the callback ran in that tick, or RAISED. In Python it
            stops at once: what it would do is what :class:`Worker` does for every other node.
        """
        return tick, READY, 0

    def wait(self, tick: int, mind_safe: bool) -> int:
        """Waits until this node may run `tick`: READY, STOP, ORPHAN, or SAFE where `mind_safe` asks for it."""
        control, needs, row = self._control, self._needs, self._row
        spin_until = _now() + self._spin_ns if self._spin_ns else 0
        while True:
            released = control[H_RELEASED]
            if mind_safe and control[H_SAFE_MODE] and released >= control[H_SAFE_MODE] - 1:
                return SAFE
            if released >= tick:
                for finished, excused, jobs, ticks, back in needs:
                    needed = tick - back
                    if jobs:
                        needed = -(-(needed * jobs // ticks) * ticks // jobs)
                    if control[finished] < needed and control[excused] < needed:
                        break
                else:
                    fence()
                    return READY
            if control[H_STOP] or control[row + N_STOP]:
                return STOP
            if spin_until and _now() < spin_until:
                continue
            if not self.sleep():
                return ORPHAN

    def sleep(self) -> bool:
        """Waits for a post, but not for ever. Returns whether the supervisor lives."""
        try:
            self._go.acquire(self._poll)
        except posix_ipc.BusyError:
            return os.getppid() == self._parent
        except posix_ipc.SignalError:
            pass
        return True

    def finish(self, tick: int, end: bool) -> None:
        """`tick` is over for this node: says so, and wakes those that wait for it; with `end` also the coordinator.

        Where the coordinator has left the releases to this node, the last one of every tick, it releases the next tick
        instead.
        """
        control = self._control
        fence()
        if (
            self._sources
            and control[H_RELAY] > tick
            and not (control[H_STOP] or control[H_STOP_ASKED] or control[H_SAFE_MODE])
            and control[H_EXTERNAL] == control[H_ADMITTED]
        ):
            control[H_RELEASED] = tick + 1
            fence()
            control[self._row + N_FINISHED] = tick
            for source in self._sources:
                source.release()
            return
        control[self._row + N_FINISHED] = tick
        for go, jobs, ticks in self._hearers:
            if not jobs or -(-(tick * jobs // ticks) * ticks // jobs) == tick:
                go.release()
        if end:
            self._done.release()
