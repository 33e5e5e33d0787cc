"""A node's part in a tick in Python, but for the callback: what it can receive, what it sends, and the row that tells of it."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Any

from horus_core.memory.control import (
    H_ADMITTED,
    N_BUSY,
    N_BUSY_LAST,
    N_BUSY_MAX,
    N_BUSY_MIN,
    N_CURRENT,
    N_DROPPED,
    N_OVERRUNS,
    N_RECEIVED,
    N_SENT,
    N_SENT_BYTES,
    N_STARTED,
    N_TICKS,
    NEVER,
)
from horus_core.memory.hotpath.pure.lane_ends import ReaderCore, WriterCore
from horus_core.memory.hotpath.topics import Inbox, Outlet
from horus_core.memory.tick_rows import ROW_HEAD, ROW_INPUT, bucket_of
from horus_core.messages.encoding import RAW

_now = time.monotonic_ns


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
        inputs: Sequence[tuple[ReaderCore, int]],
        external: Sequence[ReaderCore],
        readers: Sequence[ReaderCore],
        trigger: Sequence[ReaderCore],
        writers: Sequence[WriterCore],
        trace: WriterCore,
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
            outlets, inboxes: per topic, how it sends and receives.
        """
        self._control, self._row, self._histogram, self._budget_ns = control, row, histogram, budget_ns
        self._inputs, self._external, self._readers, self._trigger = inputs, external, readers, trigger
        self._lanes, self._trace, self._outlets, self._inboxes = writers, trace, outlets, inboxes
        self._pack_trace = struct.Struct(f"<{ROW_HEAD + ROW_INPUT * len(readers)}q").pack
        self._external_seen = 0
        self._dropped_before = control[row + N_DROPPED]  # by earlier processes of this node
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
                if not reader.all_seen:  # this tick began after a later one's release had admitted more
                    self._external_seen = NEVER
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
        bounds, dropped, received, at = self._bounds, self._dropped_before, 0, 0
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


def _oldest(readers: Sequence[ReaderCore]) -> ReaderCore | None:
    """The reader whose next message is the oldest by (tick, publisher's position); None if all are read."""
    oldest: ReaderCore | None = None
    for reader in readers:
        if reader.cursor < reader.end and (oldest is None or reader.peek_tick() < oldest.peek_tick()):
            oldest = reader
    return oldest
