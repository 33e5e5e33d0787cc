"""Makes record batches of what was copied out of the lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.graph.spec import Graph
from horus_core.memory.drain import Slice
from horus_core.memory.segment import E_LENGTH, E_TICK
from horus_core.memory.tick_rows import ROW_HEAD
from horus_core.recording.writing.writer import event_batch, message_batch, tick_batch

_ABOUT_THE_START = ("start", "ready")
_BY_PIECES = 4096  # mean bytes per payload from which reordering copies payload by payload

Event = tuple[int, int, str, str, dict[str, Any]]  # ns since 1970, tick, node, event, details
Batch = tuple[pa.RecordBatch, int, int]  # with its first and last tick


@dataclass
class Copies:
    """What was copied and not yet written.

    Attributes:
        messages: per publisher's position (-1: from outside) chunks of topic, rows, payload.
        ticks: chunks of node, rows, payload.
        events: the supervisor's, as slices of its lane, and the recorder's own.
        before: per publisher and topic, rows and payload of the last message before the first recorded tick, if it is latched.
        marks: per drain, up to where it was copied.
        size: bytes.
        last_tick: the last tick that it may hold.
    """

    messages: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = field(default_factory=dict)
    ticks: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    event_slices: list[Slice] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    before: dict[tuple[int, int], Slice] = field(default_factory=dict)
    marks: list[tuple[Any, int]] = field(default_factory=list)
    size: int = 0
    last_tick: int = 0

    def add_messages(self, publisher: int, topic: int, slices: Sequence[Slice]) -> None:
        """Adds what one lane had."""
        for rows, payload in slices:
            self.messages.setdefault(publisher, []).append((topic, rows, payload))
            self._count(rows, payload)

    def add_ticks(self, node: int, slices: Sequence[Slice]) -> None:
        """Adds what one node's trace had."""
        for rows, payload in slices:
            self.ticks.append((node, rows, payload))
            self._count(rows, payload)

    def add_events(self, slices: Sequence[Slice]) -> None:
        """Adds what the events lane had."""
        for rows, payload in slices:
            self.event_slices.append((rows, payload))
            self._count(rows, payload)

    def _count(self, rows: np.ndarray, payload: np.ndarray) -> None:
        self.size += rows.nbytes + payload.nbytes
        self.last_tick = max(self.last_tick, int(rows[-1, E_TICK]))


class BatchMaker:
    """Makes batches for the files of one graph.

    Args:
        graph: the graph.
        epoch_offset: what to add to a monotonic time to get ns since 1970.

    Attributes:
        publishers: the name behind each key of `Copies.messages`.
    """

    def __init__(self, graph: Graph, epoch_offset: int) -> None:
        self._graph, self._offset = graph, epoch_offset
        self.skip_events_to = 0  # ns since 1970
        self.first_tick = 0  # what happened before was only lived through
        self._names = [node.name for node in graph.nodes]
        self.publishers = dict(enumerate(self._names))
        self.publishers[-1] = graph.outside
        self.topics: dict[int, list[str]] = {position: [] for position in (*range(len(self._names)), -1)}
        for lane in graph.lanes:
            self.topics[lane.node].append(lane.topic)

    def batches(self, copies: Copies) -> dict[int | str, Batch]:
        """The batch for each file that `copies` has something for: by publisher's position, "scheduler" or "events"."""
        found: dict[int | str, Batch] = {}
        if copies.ticks:
            found["scheduler"] = self.ticks(copies.ticks)
        for publisher, chunks in copies.messages.items():
            found[publisher] = self.messages(publisher, chunks)
        events = self.events(copies)
        if events is not None:
            found["events"] = events
        return found

    def events(self, copies: Copies) -> Batch | None:
        """The batch of events, None if there are none."""
        rows = [
            tuple(msgspec.msgpack.decode(each))
            for entries, data in copies.event_slices
            for each in _split(entries, data)
        ]
        rows = [
            row
            for row in (*rows, *copies.events)
            if row[0] > self.skip_events_to and (row[1] >= self.first_tick or row[3] in _ABOUT_THE_START)
        ]
        return event_batch(rows) if rows else None

    def messages(self, publisher: int, chunks: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> Batch:
        """The batch of one publisher's messages, sorted by tick and time."""
        rows = np.concatenate([chunk[1] for chunk in chunks])
        counts = [len(chunk[1]) for chunk in chunks]
        topics = np.repeat(np.array([chunk[0] for chunk in chunks], dtype=np.int16), counts)
        payload = np.concatenate([chunk[2] for chunk in chunks]) if len(chunks) > 1 else chunks[0][2]
        if len({chunk[0] for chunk in chunks}) > 1:
            order = np.lexsort((rows[:, 3], rows[:, E_TICK]))
            payload = _reordered(payload, rows[:, E_LENGTH], order)
            rows, topics = rows[order], topics[order]
        return message_batch(rows, topics, self.topics[publisher], payload, self._offset)

    def latched(self, before: Mapping[tuple[int, int], Slice]) -> dict[int, pa.RecordBatch]:
        """Per publisher, a batch of what `Copies.before` holds."""
        publishers = dict.fromkeys(publisher for publisher, _ in before)
        return {
            each: self.messages(
                each, [(place, *piece) for (publisher, place), piece in before.items() if publisher == each]
            )[0]
            for each in publishers
        }

    def ticks(self, chunks: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> Batch:
        """The batch of all nodes' ticks, sorted by tick and position."""
        heads, nodes, received, counts = [], [], [], []
        for position, rows, payload in chunks:
            words = payload.view(np.int64).reshape(len(rows), -1)
            heads.append(np.column_stack((rows[:, E_TICK], words[:, :ROW_HEAD])))
            nodes.append(np.full(len(rows), position, dtype=np.int16))
            inputs = self._graph.inputs[position]
            bounds = words[:, ROW_HEAD:].reshape(len(rows), len(inputs), 3)
            there = bounds[:, :, 2] > bounds[:, :, 0]
            counts.append(there.sum(axis=1))
            found = np.empty((*there.shape, 4), dtype=np.int64)
            found[:, :, 0] = np.array([entry.lane for entry in inputs], dtype=np.int64)
            found[:, :, 1:] = bounds
            received.append(found[there])
        head, node, count = np.concatenate(heads), np.concatenate(nodes), np.concatenate(counts)
        items = np.concatenate(received)
        order = np.lexsort((node, head[:, 0]))
        starts = np.cumsum(count) - count
        picked = np.repeat(starts[order], count[order]) + _ramp(count[order])
        return tick_batch(head[order], node[order], self._names, items[picked], count[order], self._offset)


def _split(rows: np.ndarray, payload: np.ndarray) -> list[bytes]:
    ends, sizes = np.cumsum(rows[:, E_LENGTH]).tolist(), rows[:, E_LENGTH].tolist()
    return [payload[end - size : end].tobytes() for end, size in zip(ends, sizes, strict=True)]


def _ramp(counts: np.ndarray) -> np.ndarray:
    """``[0 .. counts[0] - 1, 0 .. counts[1] - 1, ...]``."""
    ramp: np.ndarray = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return ramp


def _reordered(payload: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The payloads in another order."""
    starts = np.cumsum(lengths) - lengths
    if len(payload) < _BY_PIECES * len(lengths):
        result: np.ndarray = payload[np.repeat(starts[order], lengths[order]) + _ramp(lengths[order])]
        return result
    pairs = zip(starts[order].tolist(), lengths[order].tolist(), strict=True)
    return np.concatenate([payload[start : start + size] for start, size in pairs])
