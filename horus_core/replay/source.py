"""Feeds a recording back: what each replayed node sends, and what a live node must leave out because it did then.

Imported by the processes of replayed nodes and by a scheduler that replays; imports pyarrow.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horus_core.errors import InvalidValue, NotARecording, RecordingMissing, ReplayRange
from horus_core.graph.schedule import NodeSchedule
from horus_core.graph.spec import EXTERNAL, Graph, NodeSpec, TopicSpec, sample_topic
from horus_core.memory.lane import LaneWriter
from horus_core.messages.encoding import RAW, Decoder, Encoder
from horus_core.recording.format.header import GraphRecord, Header, NodeRecord
from horus_core.recording.reading.latched import last_before, latched_topics
from horus_core.recording.reading.reader import RecordingFile, Session

SLOWEST, FASTEST = 0.01, 100.0
Row = tuple[int, int, str, int, memoryview]  # tick, visible, topic, encoding, payload
_FIRST_OF_ALL = -(1 << 40)  # the order of what came from outside: before every node


@dataclass
class RecordedSource:
    """What a replayed node sends: tick for tick, byte for byte what it sent when it was recorded.

    Args:
        node: its name.
        paths: the parts of its file.
        first: the first tick that is replayed.
        start, stop: the range of ticks that is shown, both included; a loop goes over it.
        schedule, compute: when it runs, and whether nobody waits for it.
        horizon: ticks before `first` whose messages a live node may still receive.
        loop: start over behind `stop`.
        overrides: per topic, what to send instead: a function of an encoding and a payload.
        latched: the topics whose last message before all that is sent is sent first.
        header: what to take for the header of a file whose own does not read.
    """

    node: str
    paths: list[str]
    first: int
    start: int
    stop: int
    schedule: NodeSchedule
    compute: bool = False
    horizon: int = 0
    loop: bool = False
    overrides: dict[str, Override] = field(default_factory=dict)
    latched: frozenset[str] = frozenset()
    header: Header | None = None

    def begin(self, writers: Mapping[str, LaneWriter]) -> None:
        """Opens the recording at `first`, and sends what must be there before that.

        Those are the messages of the `horizon` before it, and what is visible before this node's first job has ended, as what
        it sent in ``init`` is.
        """
        rows: Iterator[Row] = itertools.chain(self._latched(), self._read(self.first - self.horizon))
        self._rows = rows
        self._next = next(self._rows, None)
        self._shift = 0
        job = self.first if self.schedule.active(self.first) else self.schedule.next(self.first)
        self._put(self.first - 1, self.schedule.next(job) if self.compute else job, writers)
        for writer in writers.values():
            writer.commit()

    def send(self, tick: int, writers: Mapping[str, LaneWriter]) -> None:
        """Sends what was recorded in `tick`, and what is visible before the next job has ended.

        A restarted node's first messages may be that, in a tick in which it has no job.
        """
        if self.loop and tick - self._shift > self.stop:
            self._shift += self.stop - self.start + 1
            self._rows = self._read(self.start)
            self._next = next(self._rows, None)
        following = self.schedule.next(tick)
        self._put(tick, self.schedule.next(following) if self.compute else following, writers)

    def _put(self, tick: int, before: int, writers: Mapping[str, LaneWriter]) -> None:
        """Sends what was sent up to `tick`, or is visible in a tick before `before`."""
        shift = self._shift
        row = self._next
        while row is not None and (row[0] + shift <= tick or row[1] + shift < before):
            sent_in, visible, topic, encoding, payload = row
            writer = writers.get(topic)  # None for a topic that stays silent
            if writer is not None:
                override = self.overrides.get(topic)
                if override is not None:
                    encoding, payload = override(encoding, payload)
                writer.put(encoding, payload, sent_in + shift, visible + shift)
            row = next(self._rows, None)
        self._next = row

    def _latched(self) -> Iterator[Row]:
        """The last messages of latched topics before all that is read."""
        if self.latched:
            for row in last_before(
                [RecordingFile(path, self.header) for path in self.paths], self.latched, self.first - self.horizon
            ):
                yield from rows_of(row)

    def _read(self, first: int) -> Iterator[Row]:
        """The recorded messages from tick `first` to `stop`: tick, visible, topic, encoding, payload."""
        for path in self.paths:
            for batch in RecordingFile(path, self.header).batches(max(first, 0), self.stop):
                for row in rows_of(batch):
                    if first <= row[0] <= self.stop:
                        yield row


def rows_of(batch: pa.RecordBatch) -> Iterator[Row]:
    """The messages of a batch: tick, visible, topic, encoding, payload."""
    column = batch.column("payload")
    ticks, visibles = batch.column("tick").to_pylist(), batch.column("visible").to_pylist()
    topics, encodings = batch.column("topic").to_pylist(), batch.column("encoding").to_pylist()
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64, count=column.offset + len(ticks) + 1)[column.offset :].tolist()
    payload = memoryview(data).cast("B") if data is not None else memoryview(b"")
    for each, tick in enumerate(ticks):
        yield tick, visibles[each], topics[each], encodings[each], payload[ends[each] : ends[each + 1]]


@dataclass(frozen=True)
class Override:
    """Replaces the messages of one topic of a replayed node.

    Attributes:
        value: bytes are delivered as those bytes; a callable gets the recorded value and returns the new one; any other
            value is encoded as the topic's values are.
    """

    node: str
    topic: str
    kind: Any
    value: Any

    def __call__(self, encoding: int, payload: memoryview) -> tuple[int, Any]:
        """The encoding and the payload to send instead."""
        if isinstance(self.value, (bytes, bytearray, memoryview)):
            return RAW, bytes(self.value)
        value = self.value
        if callable(value):
            value = value(Decoder(self.topic, self.kind).decode(encoding, payload))
        return Encoder(self.node, self.topic, self.kind).encode(value)


def open_scheduler_file(path: str | os.PathLike[str]) -> Session:
    """The session that a scheduler file belongs to.

    Args:
        path: the ``scheduler@...`` file, or the session's folder.

    Raises:
        RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return Session(place)
    header = RecordingFile(place).header
    if header.kind == "node":
        raise NotARecording(
            str(path),
            f"the file of node {header.node!r}",
            "give the scheduler@... file beside it, or use add_replay() for one node",
        )
    if header.kind != "scheduler":
        raise NotARecording(str(path), f"the {header.kind} file of a session", "give the scheduler@... file beside it")
    return Session(place.parent)


def open_node_file(path: str | os.PathLike[str]) -> tuple[Session, str]:
    """The session and the node that a node's file belongs to.

    Raises:
        RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
    """
    place = Path(path).expanduser()
    header = RecordingFile(place).header
    if header.kind != "node":
        raise NotARecording(
            str(path),
            f"the {header.kind} file of a session",
            "give one node's file, or use Scheduler.replay_from() for all",
        )
    return Session(place.parent), header.node


def replayed_spec(record: NodeRecord, graph: GraphRecord) -> NodeSpec:
    """The node that replays what `record` describes, of the graph that was recorded."""
    prefix = sample_topic(record.name, "")
    return NodeSpec(
        name=record.name,
        rate=graph.tick_rate if record.on else record.rate,
        order=record.order,
        pubs=tuple(TopicSpec(topic.name, None, topic.capacity, topic.latch) for topic in record.pubs),
        subs=tuple(TopicSpec(topic.name, None, topic.capacity) for topic in record.subs),
        compute=record.compute,
        replayed=True,
        samples=tuple(
            lane.topic.removeprefix(prefix)
            for lane in graph.lanes
            if lane.node == record.name and lane.topic.startswith(prefix)
        ),
    )


def external_spec(session: Session) -> NodeSpec | None:
    """The node that replays what came from outside the graph; None if nothing did."""
    topics: dict[str, None] = {}
    for file in session.node_files(EXTERNAL):
        for batch in file.batches():
            topics.update(dict.fromkeys(batch.column("topic").unique().to_pylist()))
    if not topics:
        return None
    pubs = tuple(TopicSpec(topic) for topic in topics)
    return NodeSpec(name=EXTERNAL, rate=session.graph.tick_rate, order=_FIRST_OF_ALL, pubs=pubs, replayed=True)


def check_range(session: Session, start: int | None, stop: int | None) -> tuple[int, int]:
    """The range of ticks to replay, both included.

    Raises:
        ReplayRange: the recording does not have it.
    """
    first, last = session.held_ticks()
    if last < first:
        raise ReplayRange(f"session {session.name!r} recorded no ticks", first, last)
    if start is not None and not first <= start <= last:
        raise ReplayRange(f"start_at_tick({start}) is outside session {session.name!r}", first, last)
    if stop is not None and stop < first:
        raise ReplayRange(f"stop_at_tick({stop}) is outside session {session.name!r}", first, last)
    begin, end = first if start is None else start, last if stop is None else min(stop, last)
    if end < begin:
        raise ReplayRange(f"start_at_tick({begin}) is after stop_at_tick({end})", first, last)
    return begin, end


def check_speed(speed: Any) -> float:
    """`speed` as a float.

    Raises:
        InvalidValue: it is not 0 (as fast as possible) or between 0.01 and 100.
    """
    if (
        isinstance(speed, bool)
        or not isinstance(speed, (int, float))
        or not (speed == 0 or SLOWEST <= speed <= FASTEST)
    ):
        raise InvalidValue("the replay speed", repr(speed), "0.01 to 100, or 0 for as fast as possible")
    return float(speed)


def sources_for(
    sessions: Mapping[str, Session],
    graph: Graph,
    first: int,
    start: int,
    stop: int,
    loop: bool,
    overrides: Mapping[tuple[str, str], Any],
) -> dict[str, RecordedSource]:
    """The source of every replayed node in `graph`.

    Args:
        sessions: per replayed node, its session.
        first, start, stop, loop: as for :class:`RecordedSource`.
        overrides: per (node, topic), a value as for :class:`Override`.
    """
    live = [schedule for node, schedule in zip(graph.nodes, graph.schedules, strict=True) if not node.replayed]
    horizon = max((-(-schedule.ticks // schedule.jobs) + 1 for schedule in live), default=0)
    kinds = {lane.topic: lane.kind for lane in graph.lanes}
    found = {}
    for name, session in sessions.items():
        files = session.node_files(name)
        if not files:
            raise RecordingMissing(
                f"{session.folder} for node {name!r}", "its file is gone; replay the others, or run it live"
            )
        found[name] = RecordedSource(
            node=name,
            paths=[str(file.path) for file in files],
            header=session.header_named(files[0].path),
            first=first,
            start=start,
            stop=stop,
            schedule=graph.schedules[graph.position(name)],
            compute=graph.nodes[graph.position(name)].compute,
            horizon=min(horizon, first - session.graph.first_tick),
            loop=loop,
            latched=latched_topics(session.graph, name),
            overrides={
                topic: Override(node, topic, kinds.get(topic), value)
                for (node, topic), value in overrides.items()
                if node == name
            },
        )
    return found
