"""One node's part in a tick: fix what it can receive, call it, commit what it sent, write down how it went.

The one tick engine: a worker process calls it when its predecessors have finished, inline execution calls it for one node
after the other, and a replayed node puts a `source` in the place of the callback. Who runs when is not decided here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from horus_core.engine import clock
from horus_core.engine.callbacks import EventLoop, adapted
from horus_core.engine.clock import TickClock
from horus_core.engine.past import Return
from horus_core.engine.run_options import RunOptions
from horus_core.engine.sampling import Recorded, Sampling
from horus_core.engine.tracebacks import own_traceback
from horus_core.errors import UnknownTopic
from horus_core.graph.node import Node
from horus_core.graph.spec import BUDGET_SHARE, Graph, sample_topic
from horus_core.memory.control import (
    FREE,
    H_EPOCH,
    H_STOP_ASKED,
    N_BACK,
    N_CURRENT,
    N_ERRORS,
    N_SENT,
    N_SENT_BYTES,
    NEVER,
    Layout,
)
from horus_core.memory.hotpath import Inbox, Outlet, TickCore
from horus_core.memory.lane import LaneReader, LaneWriter
from horus_core.memory.segment import E_TICK
from horus_core.memory.shared import Memory
from horus_core.memory.tick_rows import STATUS_ERROR, STATUS_OK, STATUS_SAFE, TRACE_CAPACITY
from horus_core.messages.encoding import Decoder, Encoder

Log = Callable[[str, int, str], None]


class Source(Protocol):
    """What a replayed node sends."""

    def begin(self, writers: Mapping[str, LaneWriter]) -> None:
        """Before the first tick: opens the recording, and sends what is still to be received from earlier ticks."""

    def send(self, tick: int, writers: Mapping[str, LaneWriter]) -> None:
        """Sends what was recorded in `tick`."""


class NodeRunner(TickCore):
    """Runs one node's ticks.

    Args:
        graph, position: which node.
        node: its handle.
        memory, control, layout: the graph's.
        options: how the graph runs.
        wait_for_recorder: see LaneWriter.
        log: called with level, tick and text.
        source: a replayed node's messages, in the place of callbacks.
        recorded: the side inputs that a live node read when it was recorded; None to read them.

    Attributes:
        failure: the exception and its traceback, of a tick that was not handled by `on_error`.
        first_tick: the tick from which it takes part, or takes part again.
        started_again: is told of each restart that it has made because its past has it.
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
        recorded: Recorded | None = None,
    ) -> None:
        self.spec, self.node, self.options, self.position = graph.nodes[position], node, options, position
        self.schedule = graph.schedules[position]
        self._control, self._row = control, layout.node(position)
        self._log, self._source = log, source
        self.failure: tuple[BaseException, str] | None = None
        self.safe = self._is_safe = False
        self._publishers: dict[str, list[tuple[int, Sequence[int]]]] = {}  # per topic: row, recorded ticks of return
        wait = wait_for_recorder if options.recorded and (options.lockstep or options.block) else None
        self.writers: dict[str, LaneWriter] = {}
        outlets: dict[str, Outlet] = {}
        samples = {sample_topic(self.spec.name, each): each for each in self.spec.samples}
        sampled: dict[str, Outlet] = {}
        for index in graph.outputs[position]:
            lane = graph.lanes[index]
            is_sample = lane.topic in samples
            writer = self.writers[lane.topic] = LaneWriter(
                memory, control, layout, index, lane.capacity, wait, lazy=is_sample, latch=lane.latch
            )
            encoder = Encoder(self.spec.name, lane.topic, lane.kind)
            pack = encoder.pack if lane.kind is None else None
            outlet = Outlet(writer, encoder.encode, pack, encoder.arrays, encoder.rest)
            if is_sample:
                sampled[samples[lane.topic]] = outlet
            else:
                outlets[lane.topic] = outlet
        self._sampling = Sampling(self.spec.name, sampled, self._put_sample, recorded)
        trace = LaneWriter(memory, control, layout, len(graph.lanes) + position, TRACE_CAPACITY, wait)
        inboxes: dict[str, list[LaneReader]] = {}
        decoders: dict[str, Decoder] = {}
        inputs: list[tuple[LaneReader, int]] = []
        self._readers: list[LaneReader] = []
        for entry in graph.inputs[position]:
            lane = graph.lanes[entry.lane]
            reader = LaneReader(memory, control, layout, entry.lane, position, lane.capacity, latch=lane.latch)
            self._readers.append(reader)
            if not lane.external:
                inputs.append((reader, entry.lag))
                publisher = graph.nodes[lane.node]
                back = (layout.node(lane.node), options.backs.get(publisher.name, ()))
                self._publishers.setdefault(lane.topic, []).append(back)
            inboxes.setdefault(lane.topic, []).append(reader)
            decoders[lane.topic] = Decoder(lane.topic, lane.kind)
        heard = {reader for reader, _ in inputs}
        self._hearing = inputs
        self._readers_of = {topic: tuple(readers) for topic, readers in inboxes.items()}
        self._inboxes = {
            topic: Inbox(tuple(readers), decoder.decode, functools.partial(decoder.decode, copy=False), decoder.unpack)
            for topic, readers in inboxes.items()
            if (decoder := decoders[topic])
        }
        self._equip(
            control,
            self._row,
            layout.histogram(position),
            round((self.spec.budget or BUDGET_SHARE * self.spec.period) * 1e9),
            inputs,
            [reader for reader in self._readers if reader not in heard],
            self._readers,
            inboxes[self.spec.on] if self.spec.on is not None else (),
            list(self.writers.values()),
            trace,
            outlets,
            self._inboxes,
        )
        self._placed = False
        self._loop = EventLoop()
        self._call = (
            {}
            if source is not None
            else {role: adapted(callback, role, self._loop) for role, callback in node.callbacks.items()}
        )
        self._run_tick = self._call.get("tick")
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
        self._past = options.pasts.get(self.spec.name)
        self._returns: tuple[Return, ...] = ()  # those of its past that are still to come
        self.started_again: Callable[[Return], None] = lambda came: None
        self._ahead = self.spec.compute
        self.tick = self.visible = self.first_tick = options.first_tick
        self._status = STATUS_OK
        self._restarted = False

    def start(self, tick: int, restarted: bool = False) -> None:
        """Attaches the node and calls its ``init``; what that sends is visible as if `tick`, its first, had sent it."""
        self.node.attach(self)
        clock.enter(self.clock)
        self.tick = self.visible = self.clock.tick = self.first_tick = tick
        self._restarted = restarted
        if self._past is not None:
            self._returns = self._past.returns_after(tick)
        if self._source is None:
            self.call("init")
        else:
            self._source.begin(self.writers)
        if not restarted:  # else the coordinator commits, at the release from which the node takes part again
            self._commit_all()

    def _place(self) -> None:
        """Before it runs for the first time: skips what became visible before the tick that it would have run before its first
        one. That one it may have missed; what it would have received there it receives now."""
        self._placed = True
        self.clock.epoch_ns = self._control[H_EPOCH]  # settled when every node was ready
        before = self.first_tick - 1 if self._restarted else self.schedule.last(self.first_tick - 1)
        for reader, lag in self._hearing:
            reader.start_at(before + 1 - lag)

    def run(self, tick: int) -> bool:
        """Runs the node's job of `tick`, but does not commit it. Returns False if it had nothing to do.

        An exception of the callback that ``on_error`` did not take is left in :attr:`failure`.
        """
        if not self._placed:
            self._place()
        past, safe = self._past, self.safe
        ran = past is not None and past.ran(tick)
        if not self.begin(tick, self._is_safe or (past is not None and not ran), safe or ran):
            if self._source is not None:
                self._source.send(tick, self.writers)
                self._commit_all()
            self._start_again_as_then(tick)
            return False
        ticking = self.clock
        ticking.tick, ticking.started_ns = tick, self.started
        self.visible = self.schedule.next(tick) if self._ahead else tick
        if past is not None:
            self.visible = past.visible(tick, self.visible)
        self._status = STATUS_OK
        clock._current = ticking
        try:
            if safe and "safe_state" in self._call:
                self._is_safe, self._status = True, STATUS_SAFE
                self._call["safe_state"](self.node)
            elif self._run_tick is not None:
                self._run_tick(self.node)
            elif self._source is not None:
                self._source.send(tick, self.writers)
                self._status = STATUS_OK if past is None else past.status(tick, STATUS_OK)
        except Exception as problem:
            self._failed(problem)
        self.ended()
        self._start_again_as_then(tick)
        return True

    def _start_again_as_then(self, tick: int) -> None:
        """After its job of `tick`: if its past has it started again before the next one, and it has not failed now, does that.

        At once, because what ``init`` sends must be there for those that do not wait for this node. A node that does fail is
        started again by whoever looks after it, in another process perhaps.
        """
        if not self._returns or self.failure is not None or self.schedule.next(tick) < self._returns[0].started:
            return
        came, visible = self._returns[0], self.visible
        if came.back == FREE:
            return  # see `end`
        if self._source is not None:  # it has sent what its init sent then
            self._returns = self._returns[1:]
            self.started_again(came)
            return
        try:
            self.start_again(*came)
            self.started_again(came)
        except Exception as problem:
            self.failure = (problem, own_traceback(problem))
        self.tick, self.visible = tick, visible

    def start_again(self, started: int, back: int) -> None:
        """Starts a node again without a process of its own: an empty state, and ``init``, whose messages are of tick `started`
        and visible from `back` on. It goes on with what is visible in `back`."""
        self._returns = tuple(each for each in self._returns if each.started > started)
        self.node.state = {}
        self.tick, self.visible, self.first_tick = started, started if back == FREE else back, back
        self.clock.tick = started
        self._restarted, self._placed = True, False
        self.previous = NEVER
        self.call("init")
        if back != FREE:  # else `end` does
            self._commit_all()

    @property
    def plain(self) -> Callable[..., Any] | None:
        """The ``tick`` callback, if every tick is like the other: nothing replayed, left out, delayed or in safe mode."""
        special = not self._placed or self._ahead or self._past is not None or self.safe
        return None if special or self._source is not None else self._run_tick

    def _commit_all(self) -> None:
        for writer in self.writers.values():
            writer.commit()

    def note(self, raised: bool) -> None:
        """How the job that ran last went, where :meth:`run` did not run it."""
        self._status = STATUS_ERROR if raised else STATUS_OK

    def commit(self, visible: int = NEVER, status: int | None = None) -> None:
        """Makes the outputs of the job that ran last visible, in its tick or in `visible`, and writes its row."""
        self.conclude(self._status if status is None or self._status != STATUS_OK else status, visible)

    def idle(self) -> None:
        """Notes that no tick runs."""
        self._control[self._row + N_CURRENT] = -1

    def _failed(self, problem: Exception) -> bool:
        """The callback raised `problem`. Returns whether the node goes on."""
        self._status = STATUS_ERROR
        self._control[self._row + N_ERRORS] += 1
        if "on_error" in self._call:
            try:
                self._call["on_error"](self.node, problem)
                return True
            except Exception as second:
                problem = second
        trace = own_traceback(problem)
        if self.spec.failure_policy == "ignore":
            self._log("error", self.tick, f"tick {self.tick} raised, and failure_policy='ignore' goes on:\n{trace}")
            return True
        self.failure = (problem, trace)
        return False

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
            never_back = bool(self._returns) and self._returns[0].back == FREE
            if never_back and self._source is None and self.failure is None:
                self.start_again(
                    *self._returns[0]
                )  # it was when it was recorded, and did not get as far as to take part
            self.call("shutdown")
        finally:
            for writer in self.writers.values():
                writer.commit_as(max(released + 1, self.visible))

    def close(self) -> None:
        """Detaches the node."""
        self.node.attach(None)
        clock.enter(None)
        self._loop.close()

    # What the node's handle calls, besides the send, recv and recv_all of TickCore.

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

    def _inbox(self, topic: str) -> tuple[LaneReader, ...]:
        if topic not in self._readers_of:
            self._unknown("recv", topic)
        return self._readers_of[topic]

    def _unknown(self, verb: str, topic: str) -> NoReturn:
        raise UnknownTopic(self.spec.name, verb, topic, tuple(self.writers if verb == "send" else self._inboxes))

    def sample(self, name: str, function: Callable[[], Any]) -> Any:
        return self._sampling.take(name, function, self.tick)

    def _put_sample(self, outlet: Outlet, encoding: int, payload: bytes) -> None:
        outlet.writer.put(encoding, payload, self.tick, self.visible)
        self._control[self._row + N_SENT] += 1
        self._control[self._row + N_SENT_BYTES] += len(payload)

    def restarted(self, topic: str) -> bool:
        """Whether a publisher of `topic` was restarted since this node's last tick."""
        self._inbox(topic)
        for row, recorded in self._publishers.get(topic, ()):
            if any(self.previous < back <= self.tick for back in (self._control[row + N_BACK], *recorded)):
                return True
        return False

    def log(self, level: str, message: str) -> None:
        self._log(level, self.tick, str(message))

    def request_stop(self) -> None:
        self._control[H_STOP_ASKED] = self.tick + 1
