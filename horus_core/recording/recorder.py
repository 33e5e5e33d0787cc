"""The recorder: copies what the lanes hold, then writes it.

One thread copies slices of the index and of the data as whole arrays, with no work per message; another builds the record
batches, writes them and waits for the disk. So a stalled disk costs memory, up to a bound, and not messages.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from horus_core.control import (
    FREE,
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_RECORDED_BYTES,
    H_RECORDED_LOST,
    H_RECORDER_BACKLOG,
    H_RELEASED,
    L_COMMIT,
    L_GENERATION,
    L_HEAD,
    N_FINISHED,
    N_STATE,
    NEVER,
    W_DEAD,
    W_FAILED,
    Layout,
    fence,
)
from horus_core.graph import EXTERNAL, Graph
from horus_core.lane import E_LENGTH, E_POSITION, E_TICK, Segment, segment_name
from horus_core.memory import Memory
from horus_core.recording.header import Header
from horus_core.recording.writer import FileWriter, event_batch, message_batch, tick_batch
from horus_core.runner import TRACE_HEAD

FLUSH_SECONDS = 0.2
SYNC_SECONDS = 1.0
FLUSH_BYTES = 4 << 20
MEMORY_BOUND = 512 << 20
_COLUMNS = 8

Slice = tuple[np.ndarray, np.ndarray]  # index rows of shape (n, 8), payload bytes


class Tap:
    """Takes the messages of one lane, as arrays."""

    def __init__(self, memory: Memory, control: memoryview, layout: Layout, lane: int) -> None:
        self._memory, self._control, self._lane = memory, control, lane
        self._row, self._floor = layout.lane(lane), layout.floor(lane, None)
        self._generation = NEVER
        self._segments: list[tuple[Segment, np.ndarray, np.ndarray]] = []
        self.cursor = 0
        self.lost = 0

    def take(self, last_tick: int = FREE, all_written: bool = False) -> list[Slice]:
        """Copies of what was committed since, up to `last_tick`; with `all_written`, also what was not committed."""
        end = self._control[self._row + (L_HEAD if all_written else L_COMMIT)]
        if end == self.cursor:
            return []
        fence()
        if self._control[self._row + L_GENERATION] != self._generation:
            self._follow()
        slices: list[Slice] = []
        for segment, index, data in self._segments:
            while self.cursor < min(end, segment.stop):
                if self.cursor < segment.first:
                    self._lose(segment.first)
                    continue
                first = self.cursor & segment.mask
                count = min(min(end, segment.stop) - self.cursor, segment.slots - first)
                rows = index[first : first + count].copy()
                if self._overwritten(segment, rows):
                    continue
                rows = rows[: np.searchsorted(rows[:, E_TICK], last_tick, "right")]
                if not len(rows):
                    self._release()
                    return slices
                payload = _gather(rows, data, segment.data_mask)
                if index[first, 0] != rows[0, 0]:  # overwritten while it was copied
                    continue
                slices.append((rows, payload))
                self.cursor += len(rows)
                if len(rows) < count:
                    self._release()
                    return slices
        self._segments = [entry for entry in self._segments if entry[0].stop > self.cursor]
        self._release()
        return slices

    def _release(self) -> None:
        self._control[self._floor] = self.cursor

    def _lose(self, cursor: int) -> None:
        self.lost += cursor - self.cursor
        self.cursor = cursor

    def _overwritten(self, segment: Segment, rows: np.ndarray) -> bool:
        """Moves the cursor past entries that the writer has reused; True if there were any."""
        expected = np.arange(self.cursor + 1, self.cursor + 1 + len(rows))
        wrong = np.flatnonzero(rows[:, 0] != expected)
        if not len(wrong):
            return False
        self._lose(self.cursor + int(wrong[-1]) + 1)
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


def _gather(rows: np.ndarray, data: np.ndarray, mask: int) -> np.ndarray:
    """The payloads of `rows`, one after the other: one copy per run of payloads that lie side by side."""
    positions, lengths = rows[:, E_POSITION], rows[:, E_LENGTH]
    ends = positions + lengths
    # A run ends where the next payload does not follow, or begins at the start of the ring again.
    breaks = np.flatnonzero((ends[:-1] != positions[1:]) | ((positions[1:] & mask) == 0)) + 1
    starts = np.concatenate(([0], breaks))
    stops = np.concatenate((breaks, [len(rows)]))
    if len(starts) == 1:
        begin = int(positions[0]) & mask
        return data[begin : begin + int(ends[-1] - positions[0])].copy()
    payload = np.empty(int(lengths.sum()), dtype=np.uint8)
    at = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        begin, size = int(positions[start]) & mask, int(ends[stop - 1] - positions[start])
        payload[at : at + size] = data[begin : begin + size]
        at += size
    return payload


@dataclass
class _Buffer:
    """What was copied for one file and not yet handed to the writer."""

    chunks: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)  # topic or node, rows, payload
    size: int = 0

    def add(self, which: int, slices: Sequence[Slice]) -> int:
        before = self.size
        for rows, payload in slices:
            self.chunks.append((which, rows, payload))
            self.size += rows.nbytes + payload.nbytes
        return self.size - before


class Recorder:
    """Records one graph into one session folder.

    Args:
        memory, control, layout, graph: the graph's.
        folder: the session's folder; it exists.
        header: what every file says; kind and node are filled in.

    Attributes:
        paths: the files, scheduler first.
    """

    def __init__(
        self, memory: Memory, control: memoryview, layout: Layout, graph: Graph, folder: Path, header: Header
    ) -> None:
        self._control, self._layout, self._graph = control, layout, graph
        self._offset = control[H_EPOCH] - control[H_EPOCH_MONOTONIC]
        count = len(graph.nodes)
        self._names = [node.name for node in graph.nodes]
        self._scheduler = FileWriter(folder, replace_header(header, "scheduler"))
        self._events = FileWriter(folder, replace_header(header, "events"))
        self._files: dict[int, FileWriter] = {}
        self._taps: list[tuple[int, int, Tap]] = []  # publisher, place among its topics, tap
        self._topics: dict[int, list[str]] = {}
        for lane in graph.lanes:
            names = self._topics.setdefault(lane.node, [])
            self._taps.append((lane.node, len(names), Tap(memory, control, layout, lane.index)))
            names.append(lane.topic)
        for position in range(count):
            self._topics.setdefault(position, [])
            self._files[position] = FileWriter(folder, replace_header(header, "node", self._names[position]))
        self._files[-1] = FileWriter(folder, replace_header(header, "node", EXTERNAL))
        self._traces = [Tap(memory, control, layout, len(graph.lanes) + each) for each in range(count)]
        self._event_tap = Tap(memory, control, layout, layout.events)
        self._buffers: dict[int | str, _Buffer] = {}
        self._size = 0
        self._flushed = time.monotonic()
        self._work: queue.Queue[Any] = queue.Queue()
        self._backlog = 0
        self._backlog_lock = threading.Lock()
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._write_all, name="horus-writer", daemon=True)
        self._thread.start()

    @property
    def paths(self) -> list[Path]:
        return [file.path for file in (self._scheduler, *self._files.values(), self._events)]

    def poll(self, final: bool = False) -> bool:
        """Copies what is new and hands it on when it is time. Returns whether anything was new.

        Args:
            final: the nodes have ended; take everything that was written, committed or not.
        """
        if self._backlog > MEMORY_BOUND and not final:
            return False
        control, layout = self._control, self._layout
        released = control[H_RELEASED]
        new = 0
        limits = [self._limit(position) for position in range(len(self._names))]
        fence()
        for publisher, place, tap in self._taps:
            limit = FREE if final else released if publisher < 0 else limits[publisher]
            over = final or (publisher >= 0 and control[layout.node(publisher) + N_STATE] == W_DEAD)
            new += self._add(publisher, place, tap.take(limit, over and final))
        for position, tap in enumerate(self._traces):
            new += self._add("trace", position, tap.take())
        new += self._add("events", 0, self._event_tap.take())
        self._size += new
        now = time.monotonic()
        if self._size and (final or self._size >= FLUSH_BYTES or now - self._flushed >= FLUSH_SECONDS):
            self._hand_on(now)
        lost = sum(tap.lost for _, _, tap in self._taps)
        if lost != control[H_RECORDED_LOST]:
            control[H_RECORDED_LOST] = lost
        return new > 0

    def _limit(self, position: int) -> int:
        """The tick up to which the node has committed everything, so that a file is sorted by tick."""
        row = self._layout.node(position)
        if self._control[row + N_STATE] in (W_FAILED, W_DEAD):
            return FREE
        return int(self._control[row + N_FINISHED])

    def _add(self, key: int | str, which: int, slices: Sequence[Slice]) -> int:
        if not slices:
            return 0
        return self._buffers.setdefault(key, _Buffer()).add(which, slices)

    def _hand_on(self, now: float) -> None:
        with self._backlog_lock:
            self._backlog += self._size
        self._control[H_RECORDER_BACKLOG] = self._backlog
        self._work.put((self._buffers, self._size))
        self._buffers, self._size, self._flushed = {}, 0, now

    def close(self) -> None:
        """Takes the rest, writes it and closes the files; returns when the disk has them."""
        while self.poll(final=True):
            pass
        self._work.put(None)
        self._thread.join()

    # What the writer's thread does.

    def _write_all(self) -> None:
        synced = time.monotonic()
        dirty: set[FileWriter] = set()
        while (work := self._work.get()) is not None:
            buffers, size = work
            if self.failure is None:
                try:
                    for key, buffer in buffers.items():
                        dirty.add(self._write(key, buffer))
                    if time.monotonic() - synced >= SYNC_SECONDS:
                        for file in dirty:
                            file.sync()
                        dirty.clear()
                        synced = time.monotonic()
                    self._control[H_RECORDED_BYTES] = sum(file.size() for file in self._all())
                except (OSError, ValueError) as problem:
                    self.failure = str(problem)
            with self._backlog_lock:
                self._backlog -= size
            self._control[H_RECORDER_BACKLOG] = self._backlog
        for file in self._all():
            try:
                file.close()
            except (OSError, ValueError) as problem:
                self.failure = self.failure or str(problem)
        if self.failure is None:
            self._control[H_RECORDED_BYTES] = sum(os.path.getsize(path) for path in self.paths)

    def _all(self) -> list[FileWriter]:
        return [self._scheduler, *self._files.values(), self._events]

    def _write(self, key: int | str, buffer: _Buffer) -> FileWriter:
        if key == "events":
            rows = [
                msgspec.msgpack.decode(event) for _, entries, data in buffer.chunks for event in _split(entries, data)
            ]
            self._events.write(*event_batch([tuple(row) for row in rows]))
            return self._events
        if key == "trace":
            self._scheduler.write(*self._tick_rows(buffer))
            return self._scheduler
        assert isinstance(key, int)
        file = self._files[key]
        file.write(*self._messages(key, buffer))
        return file

    def _messages(self, key: int, buffer: _Buffer) -> Any:
        rows = np.concatenate([chunk[1] for chunk in buffer.chunks])
        topics = np.repeat(
            np.array([chunk[0] for chunk in buffer.chunks], dtype=np.int16), [len(chunk[1]) for chunk in buffer.chunks]
        )
        payload = (
            np.concatenate([chunk[2] for chunk in buffer.chunks]) if len(buffer.chunks) > 1 else buffer.chunks[0][2]
        )
        if len({chunk[0] for chunk in buffer.chunks}) > 1:
            order = np.lexsort((rows[:, 3], rows[:, 1]))
            payload = _reordered(payload, rows[:, E_LENGTH], order)
            rows, topics = rows[order], topics[order]
        return message_batch(rows, topics, self._topics[key], payload, self._offset)

    def _tick_rows(self, buffer: _Buffer) -> Any:
        heads, nodes, received, counts = [], [], [], []
        for position, rows, payload in buffer.chunks:
            words = payload.view(np.int64).reshape(len(rows), -1)
            heads.append(
                np.column_stack((rows[:, E_TICK], words[:, 0], words[:, 1], words[:, 2], words[:, 3], words[:, 4]))
            )
            nodes.append(np.full(len(rows), position, dtype=np.int16))
            inputs = self._graph.inputs[position]
            bounds = words[:, TRACE_HEAD:].reshape(len(rows), len(inputs), 3)
            lanes = np.array([entry.lane for entry in inputs], dtype=np.int64)
            there = bounds[:, :, 2] > bounds[:, :, 0]
            counts.append(there.sum(axis=1))
            found = np.empty((*there.shape, 4), dtype=np.int64)
            found[:, :, 0], found[:, :, 1:] = lanes, bounds
            received.append(found[there])
        head, node, count = np.concatenate(heads), np.concatenate(nodes), np.concatenate(counts)
        items = np.concatenate(received)
        order = np.lexsort((node, head[:, 0]))
        starts = np.cumsum(count) - count
        picked = np.repeat(starts[order], count[order]) + _ramp(count[order])
        return tick_batch(head[order], node[order], self._names, items[picked], count[order], self._offset)


def _split(rows: np.ndarray, payload: np.ndarray) -> list[bytes]:
    ends = np.cumsum(rows[:, E_LENGTH])
    return [
        payload[end - size : end].tobytes() for end, size in zip(ends.tolist(), rows[:, E_LENGTH].tolist(), strict=True)
    ]


def _ramp(counts: np.ndarray) -> np.ndarray:
    """``[0 .. counts[0] - 1, 0 .. counts[1] - 1, ...]``."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _reordered(payload: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The payloads in another order."""
    starts = np.cumsum(lengths) - lengths
    if len(payload) < 1 << 16 or len(payload) < 4096 * len(lengths):
        return payload[np.repeat(starts[order], lengths[order]) + _ramp(lengths[order])]
    pieces = [
        payload[start : start + size]
        for start, size in zip(starts[order].tolist(), lengths[order].tolist(), strict=True)
    ]
    return np.concatenate(pieces)


def replace_header(header: Header, kind: str, node: str = "") -> Header:
    """`header` for one file."""
    return msgspec.structs.replace(header, kind=kind, node=node)
