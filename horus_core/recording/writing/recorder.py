"""The recorder: copies what the lanes hold, then writes it.

One thread copies slices of the index and of the data as whole arrays; another builds the record batches, writes them and
waits for the disk. So a stalled disk costs memory, up to a bound, and not messages. A lane is released up to what has been
written, so a recorder that is killed loses nothing: the next one goes on from there, in a next part of the session. Only
when the disk stalls for longer than STALL_SECONDS is it released up to what has been copied.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    FREE,
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_RECORDED_BYTES,
    H_RECORDED_LOST,
    H_RECORDER_BACKLOG,
    H_RECORDER_STATE,
    H_RELEASED,
    N_FINISHED,
    N_STATE,
    RECORDER_GAVE_UP,
    W_DEAD,
    W_FAILED,
    Layout,
    fence,
)
from horus_core.memory.drain import Drain, Slice
from horus_core.memory.segment import E_LENGTH, E_TICK
from horus_core.memory.shared import Memory
from horus_core.recording.format.header import SENT, Header
from horus_core.recording.writing.batches import Batch, BatchMaker, Copies
from horus_core.recording.writing.options import Recording
from horus_core.recording.writing.parts import Parts
from horus_core.recording.writing.ranges import after, in_range
from horus_core.recording.writing.resume import skip_written

FLUSH_SECONDS = 0.2
LOSS_SECONDS = 1.0  # the promise: the most that a power cut takes
# What is handed on is up to FLUSH_SECONDS old, and the next piece comes as much later: with this much between two syncs, the
# disk has a fifth of a second for one before the promise is broken.
SYNC_SECONDS = LOSS_SECONDS - 2 * FLUSH_SECONDS
STALL_SECONDS = 2.0
FLUSH_BYTES = 4 << 20
_WAITING_SECONDS = 0.2
PIECE_BYTES = 8 << 20  # of one node, that are copied at once


class Recorder:
    """Records one graph into one session folder.

    Args:
        memory, control, layout, graph: the graph's.
        targets: folders that exist, each with how to record into it: the session's, the flight recorder's.
        header: what every file says; kind, node and part are filled in.

    Attributes:
        failure: why the first target is not recorded into any more, None while it is.
        notice: what else there is to tell the user, None if nothing; said once.
    """

    def __init__(
        self,
        memory: Memory,
        control: memoryview,
        layout: Layout,
        graph: Graph,
        targets: Sequence[tuple[Path, Recording]],
        header: Header,
    ) -> None:
        self._control, self._layout, self._graph = control, layout, graph
        first_folder, self._options = targets[0]
        self._bound = self._options.memory_mb * 1e6
        self._maker = maker = BatchMaker(graph, control[H_EPOCH] - control[H_EPOCH_MONOTONIC])
        self._first_tick = header.graph.first_tick
        maker.first_tick = self._first_tick
        self._latched: set[tuple[int, int]] = set()  # publisher, place among its topics
        count = len(graph.nodes)
        places: dict[int, int] = {}
        self._drains: list[tuple[int, int, Drain]] = []  # publisher, place among its topics, drain
        self._left_out: list[Drain] = []  # of lanes that are not recorded
        for lane in graph.lanes:
            place = places[lane.node] = places.get(lane.node, -1) + 1
            drain = Drain(memory, control, layout, lane.index)
            if self._options.records(lane.topic):
                self._drains.append((lane.node, place, drain))
            else:
                self._left_out.append(drain)
            if lane.latch and self._options.records(lane.topic):
                self._latched.add((lane.node, place))
        self._traces = [Drain(memory, control, layout, len(graph.lanes) + each) for each in range(count)]
        self._event_drain = Drain(memory, control, layout, layout.events)
        written = skip_written(first_folder, header.id, maker, self._drains)
        maker.skip_events_to = written.event_ns
        self._skip_ticks = {graph.position(name): tick for name, tick in written.ticks.items()}
        self._main = Parts(first_folder, header, maker, self._options)
        self._targets = [self._main, *(Parts(folder, header, maker, options) for folder, options in targets[1:])]
        self._copies = Copies()
        self._flushed = time.monotonic()
        self._work: queue.Queue[Copies | None] = queue.Queue()
        self._backlog = 0
        self._lock = threading.Lock()
        self._oldest: float | None = None  # since when the writer has been at work on one piece
        self._gap: list[int] | None = None
        self._lost: dict[int, int] = {}
        self.failure: str | None = None
        self.notice: str | None = None
        self._made_room = 0
        self._thread = threading.Thread(target=self._write_all, name="horus-writer", daemon=True)
        self._thread.start()

    @property
    def paths(self) -> list[Path]:
        """The files of the current part, scheduler first."""
        return self._main.paths

    def poll(self, final: bool = False) -> int:
        """Copies what is new and hands it on when it is time. Returns how many bytes were new.

        Args:
            final: the nodes have ended; take everything that was written, committed or not.
        """
        full = self._backlog > self._bound
        if full and self._options.overflow == "block" and not final and self.failure is None:
            return 0
        before = self._copies.size
        self._copy(final, whole_ticks=self._backlog > self._bound / 2)
        new = self._copies.size - before
        if full and not final and self.failure is None:
            self._drop()
        elif self._gap is not None and self._backlog < self._bound / 2:
            self._end_gap()
        now = time.monotonic()
        copies = self._copies
        if (copies.size or copies.before) and (
            final or copies.size >= FLUSH_BYTES or now - self._flushed >= FLUSH_SECONDS
        ):
            self._hand_on(now)
        if self._oldest is not None and now - self._oldest > STALL_SECONDS:
            for drain in self._all_drains():
                drain.release(drain.cursor)
        return new

    def _all_drains(self) -> list[Drain]:
        return [*(drain for _, _, drain in self._drains), *self._traces, self._event_drain]

    def _copy(self, final: bool, whole_ticks: bool) -> None:
        control, layout, copies = self._control, self._layout, self._copies
        released = control[H_RELEASED]
        limits = [FREE if final else self._limit(position) for position in range(len(self._traces))]
        if whole_ticks and not final:
            limits = [min([*limits, released])] * len(limits)
        fence()
        outside = FREE if final else min([released, *limits]) if whole_ticks else released
        for drain in self._left_out:
            drain.skip()
        within: dict[int, int] = {}
        for publisher, _, drain in self._drains:
            within[publisher] = min(within.get(publisher, FREE), drain.tick_within(PIECE_BYTES))
        for publisher, place, drain in self._drains:
            limit = min(outside if publisher < 0 else limits[publisher], within[publisher])
            dead = final and (publisher < 0 or control[layout.node(publisher) + N_STATE] in (W_DEAD, W_FAILED))
            slices = drain.take(limit, all_written=dead)
            if slices:
                slices = self._after_the_start(publisher, place, slices)
            if slices:
                copies.add_messages(publisher, place, slices)
            if drain.lost != self._lost.get(id(drain), 0):
                self._note_loss(publisher, place, drain)
        for position, drain in enumerate(self._traces):
            slices = drain.take(limits[position] if whole_ticks else FREE)
            if slices:
                slices = in_range(slices, self._first_tick)
            if slices and position in self._skip_ticks:
                slices = [after(each, self._skip_ticks[position]) for each in slices]
                slices = [each for each in slices if len(each[0])]
            if slices:
                copies.add_ticks(position, slices)
        slices = self._event_drain.take()
        if slices:
            copies.add_events(slices)

    def _after_the_start(self, publisher: int, place: int, slices: list[Slice]) -> list[Slice]:
        """What was sent from the first recorded tick on.

        Of the ticks before, which are only lived through, the last message of a latched topic is kept for the beginning of the
        files.
        """
        kept = in_range(slices, self._first_tick)
        before = [each for each in slices if each[0][0, E_TICK] < self._first_tick]
        if before and (publisher, place) in self._latched:
            rows, payload = before[-1]
            stop = int(np.searchsorted(rows[:, E_TICK], self._first_tick))
            end = int(rows[:stop, E_LENGTH].sum())
            self._copies.before[publisher, place] = (
                rows[stop - 1 : stop],
                payload[end - int(rows[stop - 1, E_LENGTH]) : end],
            )
        return kept

    def _limit(self, position: int) -> int:
        """The tick up to which the node has committed everything, so that a file is sorted by tick."""
        row = self._layout.node(position)
        if self._control[row + N_STATE] in (W_FAILED, W_DEAD):
            return FREE
        return int(self._control[row + N_FINISHED])

    def _note_loss(self, publisher: int, place: int, drain: Drain) -> None:
        """Messages that a lane pushed out before they were copied: written down, never silent."""
        lost = drain.lost - self._lost.get(id(drain), 0)
        self._lost[id(drain)] = drain.lost
        topic = [lane.topic for lane in self._graph.lanes if lane.node == publisher][place]
        self._control[H_RECORDED_LOST] += lost
        self._add_event("lost", self._name(publisher), topic=topic, messages=lost, before_sequence=drain.lost_before)

    def _name(self, publisher: int) -> str:
        return self._maker.publishers[publisher]

    def _add_event(self, event: str, node: str = "", tick: int | None = None, **detail: Any) -> None:
        released = max(int(self._control[H_RELEASED]), 0)
        self._copies.events.append((time.time_ns(), released if tick is None else tick, node, event, detail))
        self._copies.size += 1

    # The memory bound.

    def _drop(self) -> None:
        """The disk is too far behind: leaves out what was just copied, whole ticks of all nodes, and counts it."""
        copies = self._copies
        chunks = [chunk for chunks in copies.messages.values() for chunk in chunks]
        messages = sum(len(rows) for _, rows, _ in chunks)
        ticks = [int(rows[each, 1]) for _, rows, _ in (*chunks, *copies.ticks) for each in (0, -1)]
        if ticks:
            if self._gap is None:
                self._gap = [min(ticks), max(ticks), 0]
            self._gap[1] = max(self._gap[1], max(ticks))
            self._gap[2] += messages
            self._control[H_RECORDED_LOST] += messages
        self._copies = Copies(event_slices=copies.event_slices, events=copies.events)
        for drain in self._all_drains():
            drain.release(drain.cursor)

    def _end_gap(self) -> None:
        assert self._gap is not None
        first, last, messages = self._gap
        self._gap = None
        self._add_event("gap", tick=first, first=first, last=last, messages=messages, reason="the disk was too slow")

    def _hand_on(self, now: float) -> None:
        copies, self._copies, self._flushed = self._copies, Copies(), now
        copies.marks = [(drain, drain.cursor) for drain in self._all_drains()]
        with self._lock:
            self._backlog += copies.size
        self._control[H_RECORDER_BACKLOG] = self._backlog
        self._work.put(copies)

    def close(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Takes the rest, writes it and closes the files; returns when the disk has them.

        Args:
            waiting: called now and then meanwhile: a disk may take its time.
        """
        while self.poll(final=True):
            pass
        if self._gap is not None:
            self._end_gap()
        self._add_event(SENT, messages=self._sent())
        if self._copies.size or self._copies.events or self._copies.before:
            self._hand_on(time.monotonic())
        self._work.put(None)
        while self._thread.is_alive():
            waiting()
            self._thread.join(_WAITING_SECONDS)

    def _sent(self) -> dict[str, dict[str, int]]:
        """How many messages each lane has had, by node and topic: what a reader needs to know that nothing is missing."""
        found: dict[str, dict[str, int]] = {name: {} for name in self._maker.publishers.values()}
        for publisher, place, drain in self._drains:
            found[self._name(publisher)][self._maker.topics[publisher][place]] = drain.cursor
        return found

    # What the writer's thread does.

    def _write_all(self) -> None:
        synced = (
            time.monotonic()
        )  # when the last sync ended; on a slow disk one after the other would leave no time to write
        written = False  # since it began
        while True:
            try:
                copies = self._work.get(timeout=SYNC_SECONDS)
            except queue.Empty:  # a graph that is held has nothing new; what was written is not to wait for it
                copies = Copies()
            if copies is None:
                break
            self._oldest = began = time.monotonic()
            if copies.before:
                self._on_targets(Parts.begin_with, self._maker.latched(copies.before))
            if copies.size:
                self._on_targets(Parts.write, self._batches(copies))
                self._on_targets(self._note_room)
                written = True
            if written and began - synced >= SYNC_SECONDS:
                written = False
                self._on_targets(Parts.sync)
                synced = time.monotonic()
            if self._main in self._targets:
                self._control[H_RECORDED_BYTES] = self._main.size()
            self._oldest = None
            for drain, cursor in copies.marks:
                drain.release(cursor)
            with self._lock:
                self._backlog -= copies.size
            self._control[H_RECORDER_BACKLOG] = self._backlog
        for target in self._targets:
            self._close(target)

    def _batches(self, copies: Copies) -> dict[int | str, Batch]:
        """What to write; nothing, and no more recording, if it cannot be made."""
        try:
            return self._maker.batches(copies) if self._targets else {}
        except Exception as problem:
            for target in list(self._targets):
                self._give_up(target, problem)
            return {}

    def _on_targets(self, work: Callable[..., None], *arguments: object) -> None:
        """Does `work` with each target. One that fails, for whatever reason, is given up and said: a writer that ended without
        a word would be the worst of all."""
        for target in list(self._targets):
            try:
                work(target, *arguments)
            except Exception as problem:
                self._give_up(target, problem)

    def _note_room(self, target: Parts) -> None:
        """Writes down that the ring is shorter than asked for because the disk is short of room."""
        parts, size = target.made_room
        if target is not self._main or parts == self._made_room:
            return
        if not self._made_room:
            self.notice = "the disk is short of room: the ring of the recording is cut shorter than asked for"
        detail = {"parts": parts - self._made_room, "bytes_so_far": size, "reason": "the disk is short of room"}
        self._made_room = parts
        released = max(int(self._control[H_RELEASED]), 0)
        target.append(
            self._maker.batches(Copies(events=[(time.time_ns(), released, "", "oldest parts deleted", detail)]))
        )

    def _give_up(self, target: Parts, problem: Exception) -> None:
        """Ends a target's recording properly, as far as the disk lets us; the graph goes on."""
        self._targets.remove(target)
        reason = str(problem) or type(problem).__name__
        if target is self._main:
            self.failure = reason
            self._control[H_RECORDER_STATE] = RECORDER_GAVE_UP
        released = max(int(self._control[H_RELEASED]), 0)
        ended = Copies(events=[(time.time_ns(), released, "", "recording ended", {"reason": reason})])
        with contextlib.suppress(Exception):
            target.append(self._maker.batches(ended))
        self._close(target)

    def _close(self, target: Parts) -> None:
        try:
            target.close()
            if target is self._main:
                self._control[H_RECORDED_BYTES] = target.size()
        except Exception as problem:
            if target is self._main:
                self.failure = self.failure or str(problem) or type(problem).__name__
