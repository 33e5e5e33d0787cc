"""One node's part in a tick: fix what it can receive, call it, commit what it sent, write down how it went.

The one tick engine: a worker process calls it when its predecessors have finished, inline execution calls it for one node
after the other, and a replayed node puts a `source` in the place of the callback. Who runs when is not decided here.
"""

from __future__ import annotations

import inspect
import struct
import time
import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from horus_core import clock
from horus_core.clock import TickClock
from horus_core.control import (
    BUCKETS,
    H_ADMITTED,
    H_EPOCH,
    H_STOP_ASKED,
    N_BACK,
    N_BUSY,
    N_BUSY_LAST,
    N_BUSY_MAX,
    N_BUSY_MIN,
    N_CURRENT,
    N_DROPPED,
    N_ERRORS,
    N_OVERRUNS,
    N_RECEIVED,
    N_SENT,
    N_SENT_BYTES,
    N_STARTED,
    N_TICKS,
    Layout,
)
from horus_core.errors import UnknownTopic
from horus_core.graph import BUDGET_SHARE, Graph
from horus_core.lane import E_TICK, LaneReader, LaneWriter
from horus_core.memory import Memory
from horus_core.node import Node, takes_node
from horus_core.values import RAW, Decoder, Encoder

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

OK, LATE, ERROR, SAFE = range(4)  # a place in recording.format.STATUSES
TRACE_HEAD = 5  # words of a tick row: start, duration, status, visible, dropped; then first, stop, end per input
TRACE_CAPACITY = 512

_monotonic = time.monotonic_ns


@dataclass(frozen=True)
class RunOptions:
    """How a graph runs; the same for all its nodes.

    Attributes:
        first_tick: the first tick that is released.
        lockstep: the graph waits for everybody; nobody is late.
        epoch_ns: when tick 0 was or would have been released.
        block: a full lane waits for the recorder.
        skips: per node, ticks that it must leave out, because it did when it was recorded.
        visibles: per node and tick, when its outputs become visible, where that is not as usual.
        backs: per replayed node, the ticks from which it took part again after a restart.
    """

    first_tick: int
    lockstep: bool
    seed: int
    epoch_ns: int
    block: bool = False
    recorded: bool = False
    deterministic: bool = False
    skips: Mapping[str, Container[int]] = field(default_factory=dict)
    visibles: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    backs: Mapping[str, Sequence[int]] = field(default_factory=dict)


Log = Callable[[str, int, str], None]


class Source(Protocol):
    """What a replayed node sends."""

    def begin(self, writers: Mapping[str, LaneWriter]) -> None:
        """Before the first tick: opens the recording, and sends what is still to be received from earlier ticks."""

    def send(self, tick: int, writers: Mapping[str, LaneWriter]) -> None:
        """Sends what was recorded in `tick`."""


class NodeRunner:
    """Runs one node's ticks.

    Args:
        graph, position: which node.
        node: its handle.
        memory, control, layout: the graph's.
        options: how the graph runs.
        wait_for_recorder: see LaneWriter.
        log: called with level, tick and text.
        source: a replayed node's messages, in the place of callbacks.

    Attributes:
        failure: the exception and its traceback, of a tick that was not handled by `on_error`.
        safe: safe mode has begun: the next run is that of the ``safe_state`` callback, if there is one, and the last.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        node: Node,
        memory: Memory,
        control: memoryview,
        layout: Layout,
        options: RunOptions,
        wait_for_recorder: Callable[[], bool] | None,
        log: Log,
        source: Source | None = None,
    ) -> None:
        self.spec, self.node, self.options, self.position = graph.nodes[position], node, options, position
        self.schedule = graph.schedules[position]
        self._control, self._row = control, layout.node(position)
        self._histogram = layout.histogram(position)
        self._log, self._source = log, source
        self.failure: tuple[BaseException, str] | None = None
        self.safe = self._is_safe = False
        row = self._row  # counters of an earlier process of this node go on
        self._ticks, self._busy = control[row + N_TICKS], control[row + N_BUSY]
        self._busy_max, self._busy_min = control[row + N_BUSY_MAX], control[row + N_BUSY_MIN]
        self._previous = -1  # the tick that it ran before this one
        self._publishers: dict[str, list[tuple[int, Sequence[int]]]] = {}  # per topic: row, recorded ticks of return
        wait = wait_for_recorder if options.recorded and (options.lockstep or options.block) else None
        self.writers: dict[str, LaneWriter] = {}
        self._encoders: dict[str, Callable[[Any], tuple[int, Any]]] = {}
        for index in graph.outputs[position]:
            lane = graph.lanes[index]
            self.writers[lane.topic] = LaneWriter(memory, control, layout, index, lane.capacity, wait)
            self._encoders[lane.topic] = Encoder(self.spec.name, lane.topic, lane.kind).encode
        self._trace = LaneWriter(memory, control, layout, len(graph.lanes) + position, TRACE_CAPACITY, wait)
        self._inboxes: dict[str, list[LaneReader]] = {}
        self._decoders: dict[str, Callable[..., Any]] = {}
        self._views: dict[str, Callable[..., Any]] = {}
        self._inputs: list[tuple[LaneReader, int]] = []
        self._external: list[LaneReader] = []
        self._readers: list[LaneReader] = []
        for entry in graph.inputs[position]:
            lane = graph.lanes[entry.lane]
            reader = LaneReader(memory, control, layout, entry.lane, position, lane.capacity)
            self._readers.append(reader)
            if lane.external:
                self._external.append(reader)
            else:
                self._inputs.append((reader, entry.lag))
            self._inboxes.setdefault(lane.topic, []).append(reader)
            if not lane.external:
                publisher = graph.nodes[lane.node]
                back = (layout.node(lane.node), options.backs.get(publisher.name, ()))
                self._publishers.setdefault(lane.topic, []).append(back)
            decoder = Decoder(lane.topic, lane.kind)
            self._decoders[lane.topic] = decoder.decode
            self._views[lane.topic] = lambda encoding, payload, decode=decoder.decode: decode(encoding, payload, False)
        self._trigger = self._inboxes[self.spec.on] if self.spec.on is not None else []
        self._placed = False
        self._external_seen = 0
        self._pack_trace = struct.Struct(f"<{TRACE_HEAD + 3 * len(self._readers)}q").pack
        self._loop: AbstractEventLoop | None = None
        self._call = {} if source is not None else {role: self._callable(role) for role in node.callbacks}
        self.clock = TickClock(
            self.spec.name,
            self.spec.period,
            graph.tick_rate,
            options.epoch_ns,
            options.seed,
            self.spec.budget,
            options.deterministic,
            self.restarted,
        )
        self._budget_ns = round((self.spec.budget or BUDGET_SHARE * self.spec.period) * 1e9)
        self._skips: Container[int] | None = options.skips.get(self.spec.name)
        self._visibles = options.visibles.get(self.spec.name, {})
        self._ahead = self.spec.compute
        self.tick = self.visible = options.first_tick
        self._sent_bytes = 0
        self._received = 0
        self._start = self._duration = 0
        self._status = OK
        self._bounds: list[int] = []
        self._restarted = False

    def _callable(self, role: str) -> Callable[..., Any]:
        """The callback for `role` as a function of the node (and the exception), whatever it takes, async or not."""
        callback = self.node.callbacks[role]
        most = 2 if role == "on_error" else 1
        full = takes_node(callback, most)
        if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
            import asyncio

            loop = self._loop = self._loop or asyncio.new_event_loop()

            def run_async(*arguments: Any) -> Any:
                return loop.run_until_complete(callback(*(arguments if full else arguments[1:])))

            return run_async
        return callback if full else lambda *arguments: callback(*arguments[1:])

    def start(self, tick: int, restarted: bool = False) -> None:
        """Attaches the node and calls its ``init``; what that sends is visible as if `tick`, its first, had sent it."""
        self.node.attach(self)
        clock.enter(self.clock)
        self.tick = self.visible = self.clock.tick = tick
        self._restarted = restarted
        if self._source is None:
            self.call("init")
        else:
            self._source.begin(self.writers)
        if not restarted:  # else the coordinator commits, at the release from which the node takes part again
            for writer in self.writers.values():
                writer.commit()

    def _place(self, tick: int) -> None:
        """Before the first tick: skips what became visible before the tick that it would have run before this one."""
        self._placed = True
        self.clock.epoch_ns = self._control[H_EPOCH]  # settled when every node was ready
        before = tick - 1 if self._restarted else self.schedule.last(tick - 1)
        for reader, lag in self._inputs:
            reader.start_at(before + 1 - lag)

    def run(self, tick: int) -> bool:
        """Runs the node's job of `tick`, but does not commit it. Returns False if it had nothing to do.

        An exception of the callback that ``on_error`` did not take is left in :attr:`failure`.
        """
        control, row = self._control, self._row
        start = _monotonic()
        if not self._placed:
            self._place(tick)
        trigger = self._trigger
        heard = sum([reader.end for reader in trigger]) if trigger else 0
        for reader, lag in self._inputs:
            reader.open(tick - lag)
        if control[H_ADMITTED] != self._external_seen:
            self._external_seen = control[H_ADMITTED]
            for reader in self._external:
                reader.open(tick)
        if trigger and not self.safe and heard == sum([reader.end for reader in trigger]):
            return False
        if (self._skips is not None and tick in self._skips) or self._is_safe:
            return False
        control[row + N_CURRENT] = tick
        control[row + N_STARTED] = self._start = start
        self.tick = self.clock.tick = tick
        self.visible = self.schedule.next(tick) if self._ahead else tick
        if self._visibles:
            self.visible = self._visibles.get(tick, self.visible)
        self.clock.started_ns = start
        self._status = OK
        bounds = self._bounds
        bounds.clear()
        for reader in self._readers:
            bounds.append(reader.cursor)
            bounds.append(reader.end)
        clock._current = self.clock
        try:
            if self.safe and "safe_state" in self._call:
                self._is_safe, self._status = True, SAFE
                self._call["safe_state"](self.node)
            elif self._source is None:
                self._call["tick"](self.node)
            else:
                self._source.send(tick, self.writers)
        except Exception as problem:
            self._status = ERROR
            self._failed(problem)
        self._duration = _monotonic() - start
        self._previous = tick
        return True

    def commit(self, visible: int | None = None, status: int | None = None) -> None:
        """Makes the outputs of the job that ran last visible, in its tick or in `visible`, and writes its row."""
        if visible is None:
            for writer in self.writers.values():
                if writer.committed != writer.head:
                    writer.commit()
        else:
            self.visible = visible
            for writer in self.writers.values():
                writer.commit_as(visible)
        self._write_row(self._status if status is None or self._status != OK else status)

    def idle(self) -> None:
        """Notes that no tick runs."""
        self._control[self._row + N_CURRENT] = -1

    def _write_row(self, status: int) -> None:
        control, row, duration = self._control, self._row, self._duration
        words: list[int] = []
        bounds, dropped, received, at = self._bounds, 0, 0, 0
        for reader in self._readers:
            first = bounds[at]
            stop = reader.cursor
            words += (first, stop, bounds[at + 1])
            received += stop - first
            dropped += reader.dropped
            at += 2
        self._trace.put(
            RAW, self._pack_trace(self._start, duration, status, self.visible, dropped, *words), self.tick, self.visible
        )
        self._trace.commit()
        self._ticks = ticks = self._ticks + 1
        self._busy = busy = self._busy + duration
        control[row + N_TICKS] = ticks
        control[row + N_BUSY] = busy
        control[row + N_BUSY_LAST] = duration
        if duration > self._busy_max:
            control[row + N_BUSY_MAX] = self._busy_max = duration
        if duration < self._busy_min:
            control[row + N_BUSY_MIN] = self._busy_min = duration
        if duration > self._budget_ns:
            control[row + N_OVERRUNS] += 1
        if received:
            control[row + N_RECEIVED] += received
        if dropped:
            control[row + N_DROPPED] = dropped
        control[self._histogram + bucket_of(duration)] += 1
        control[row + N_CURRENT] = -1

    def _failed(self, problem: Exception) -> None:
        self._control[self._row + N_ERRORS] += 1
        if "on_error" in self._call:
            try:
                self._call["on_error"](self.node, problem)
                return
            except Exception as second:
                problem = second
        trace = own_traceback(problem)
        if self.spec.failure_policy == "ignore":
            self._log("error", self.tick, f"tick {self.tick} raised, and failure_policy='ignore' goes on:\n{trace}")
        else:
            self.failure = (problem, trace)

    def call(self, role: str) -> None:
        """Calls the ``init``, ``shutdown`` or ``safe_state`` callback, if there is one."""
        clock.enter(self.clock)
        if role in self._call:
            self._call[role](self.node)

    def be_safe(self) -> None:
        """Calls ``safe_state`` on the way out, unless it has run."""
        if not self._is_safe:
            self._is_safe = True
            self.call("safe_state")

    def end(self, released: int) -> None:
        """Calls ``shutdown``; keeps what it and ``safe_state`` sent."""
        try:
            self.call("shutdown")
        finally:
            for writer in self.writers.values():
                writer.commit_as(max(released + 1, self.visible))

    def close(self) -> None:
        """Detaches the node."""
        self.node.attach(None)
        clock.enter(None)
        if self._loop is not None:
            self._loop.close()

    # What the node's handle calls.

    def send(self, topic: str, data: Any) -> bool:
        writer = self.writers.get(topic)
        if writer is None:
            raise UnknownTopic(self.spec.name, "send", topic, tuple(self.writers))
        encoding, payload = self._encoders[topic](data)
        size = writer.put(encoding, payload, self.tick, self.visible)
        control, row = self._control, self._row
        control[row + N_SENT] += 1
        control[row + N_SENT_BYTES] += size
        return True

    def recv(self, topic: str, copy: bool = True) -> Any:
        inbox = self._inbox(topic)
        decode = self._decoders[topic] if copy else self._views[topic]
        while (reader := _oldest(inbox)) is not None:
            found, value = reader.take(decode)
            if found:
                return value
        return None

    def recv_all(self, topic: str, copy: bool = True) -> list[Any]:
        messages = []
        inbox = self._inbox(topic)
        decode = self._decoders[topic] if copy else self._views[topic]
        while (reader := _oldest(inbox)) is not None:
            found, value = reader.take(decode)
            if found:
                messages.append(value)
        return messages

    def latest(self, topic: str, copy: bool = True) -> Any:
        inbox = self._inbox(topic)
        unread = [reader for reader in inbox if reader.cursor < reader.end]
        if not unread:
            return None
        newest = max(reversed(unread), key=lambda reader: reader.word(reader.end - 1, E_TICK))
        for reader in unread:
            reader.cursor = reader.end - 1 if reader is newest else reader.end
        return self.recv(topic, copy)

    def has_msg(self, topic: str) -> bool:
        return any(reader.cursor < reader.end for reader in self._inbox(topic))

    def _inbox(self, topic: str) -> list[LaneReader]:
        inbox = self._inboxes.get(topic)
        if inbox is None:
            raise UnknownTopic(self.spec.name, "recv", topic, tuple(self._inboxes))
        return inbox

    def restarted(self, topic: str) -> bool:
        """Whether a publisher of `topic` was restarted since this node's last tick."""
        self._inbox(topic)
        for row, recorded in self._publishers.get(topic, ()):
            if any(self._previous < back <= self.tick for back in (self._control[row + N_BACK], *recorded)):
                return True
        return False

    def log(self, level: str, message: str) -> None:
        self._log(level, self.tick, str(message))

    def request_stop(self) -> None:
        self._control[H_STOP_ASKED] = self.tick + 1


def _oldest(inbox: list[LaneReader]) -> LaneReader | None:
    """The reader whose next message is the oldest by (tick, publisher's position); None if all are read."""
    oldest: LaneReader | None = None
    for reader in inbox:
        if reader.cursor < reader.end and (oldest is None or reader.peek_tick() < oldest.peek_tick()):
            oldest = reader
    return oldest


def own_traceback(problem: BaseException) -> str:
    """The traceback of a user's exception, without the frames of this module."""
    frame = problem.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(problem), problem, frame)).rstrip()


def bucket_of(duration: int) -> int:
    """The histogram bucket of a duration in ns: four per power of two.

    >>> bucket_of(1000), bucket_of(1200), bucket_of(2000)
    (43, 44, 47)
    """
    bits = duration.bit_length()
    return min(BUCKETS - 1, bits * 4 + (duration >> (bits - 3) & 3)) if bits > 2 else duration


def bucket_start(bucket: int) -> float:
    """The least duration in ns that falls into `bucket`."""
    bits, quarter = divmod(bucket, 4)
    return float(bucket) if bits <= 2 else (4 + quarter) * 2.0 ** (bits - 3)
