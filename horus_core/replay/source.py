"""Feeds a recording back: what each replayed node sends, and what a live node must leave out because it did then.

Imported by the processes of replayed nodes and by a scheduler that replays; imports pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from horus_core.errors import InvalidValue, NotARecording, RecordingMissing, ReplayRange
from horus_core.graph.spec import EXTERNAL, Graph, NodeSpec, TopicSpec
from horus_core.memory.lane import LaneWriter
from horus_core.messages.encoding import RAW, Decoder, Encoder
from horus_core.recording.format.header import Header, NodeRecord
from horus_core.recording.reading.reader import RecordingFile, Session

SLOWEST, FASTEST = 0.01, 100.0
EVERY_TICK = 1 << 62
_FIRST_OF_ALL = -(1 << 40)  # the order of what came from outside: before every node


@dataclass
class RecordedSource:
    """What a replayed node sends: tick for tick, byte for byte what it sent when it was recorded.

    Args:
        node: its name.
        paths: the parts of its file.
        start, stop: the range of ticks that is replayed, both included.
        horizon: ticks before `start` whose messages a live node may still receive.
        loop: start over behind `stop`.
        overrides: per topic, what to send instead: a function of an encoding and a payload.
        header: what to take for the header of a file whose own does not read.
    """

    node: str
    paths: list[str]
    start: int
    stop: int
    horizon: int = 0
    loop: bool = False
    overrides: dict[str, Override] = field(default_factory=dict)
    header: Header | None = None

    def begin(self, writers: Mapping[str, LaneWriter]) -> None:
        """Opens the recording at `start`, and sends the messages of the `horizon` before it."""
        self._rows = self._read(self.start - self.horizon)
        self._next = next(self._rows, None)
        self._shift = 0
        self._put(self.start - 1, writers)
        for writer in writers.values():
            writer.commit()

    def send(self, tick: int, writers: Mapping[str, LaneWriter]) -> None:
        """Sends what was recorded in `tick`."""
        if self.loop and tick - self._shift > self.stop:
            self._shift += self.stop - self.start + 1
            self._rows = self._read(self.start)
            self._next = next(self._rows, None)
        self._put(tick, writers)

    def _put(self, tick: int, writers: Mapping[str, LaneWriter]) -> None:
        shift = self._shift
        row = self._next
        while row is not None and row[0] + shift <= tick:
            sent_in, visible, topic, encoding, payload = row
            writer = writers.get(topic)  # None for a topic that stays silent
            if writer is not None:
                override = self.overrides.get(topic)
                if override is not None:
                    encoding, payload = override(encoding, payload)
                writer.put(encoding, payload, sent_in + shift, visible + shift)
            row = next(self._rows, None)
        self._next = row

    def _read(self, first: int) -> Iterator[tuple[int, int, str, int, memoryview]]:
        """The recorded messages from tick `first` to `stop`: tick, visible, topic, encoding, payload."""
        for path in self.paths:
            for batch in RecordingFile(path, self.header).batches(max(first, 0), self.stop):
                ticks, visibles = batch.column("tick").to_pylist(), batch.column("visible").to_pylist()
                topics, encodings = batch.column("topic").to_pylist(), batch.column("encoding").to_pylist()
                _, offsets, data = batch.column("payload").buffers()
                ends = np.frombuffer(offsets, dtype=np.int64, count=len(ticks) + 1).tolist()
                payload = memoryview(data).cast("B") if data is not None else memoryview(b"")
                for each, tick in enumerate(ticks):
                    if first <= tick <= self.stop:
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


def replayed_spec(record: NodeRecord, tick_rate: float) -> NodeSpec:
    """The node that replays what `record` describes."""
    return NodeSpec(
        name=record.name,
        rate=tick_rate if record.on else record.rate,
        order=record.order,
        pubs=tuple(TopicSpec(topic.name, None, topic.capacity) for topic in record.pubs),
        subs=tuple(TopicSpec(topic.name, None, topic.capacity) for topic in record.subs),
        compute=record.compute,
        replayed=True,
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


@dataclass(frozen=True)
class Skips:
    """The ticks that a node left out: those before `first`, those after `last`, and `between`."""

    first: int
    last: int
    between: frozenset[int]

    def __contains__(self, tick: object) -> bool:
        return isinstance(tick, int) and (not self.first <= tick <= self.last or tick in self.between)


@dataclass
class _Past:
    """When a node ran: what is needed of it to run it the same way again."""

    first: int | None = None
    last: int = -1
    skips: set[int] = field(default_factory=set)
    visibles: dict[int, int] = field(default_factory=dict)
    last_job: int | None = None


def past_of(session: Session, graph: Graph, names: Sequence[str]) -> tuple[dict[str, Skips], dict[str, dict[int, int]]]:
    """For each of the live nodes `names`: the ticks that it left out, and the late jobs' first visible ticks.

    A node that runs at another rate than it did is left alone.
    """
    known = session.nodes
    watched = {
        name: _Past()
        for name in names
        if name in known and (known[name].rate == graph.nodes[graph.position(name)].rate or known[name].on)
    }
    last = session.last_tick() if watched else 0
    for batch in session.batches("scheduler", []) if watched else ():
        column = batch.column("node")
        labels = column.dictionary.to_pylist()
        nodes = column.indices.to_numpy()
        ticks, visibles = batch.column("tick").to_numpy(), batch.column("visible").to_numpy()
        for name, past in watched.items():
            if name in labels:
                mine = (nodes == labels.index(name)) & (ticks <= last)
                limit = last + 1 if known[name].on else EVERY_TICK  # it skips all ticks before that one
                _note(past, ticks[mine], np.minimum(visibles[mine], limit), graph, name)
    return (
        {
            name: Skips(0, EVERY_TICK, frozenset(past.skips))
            if known[name].on
            else Skips(past.first, past.last, frozenset(past.skips))
            for name, past in watched.items()
            if past.first is not None
        },
        {name: past.visibles for name, past in watched.items() if past.visibles},
    )


def _note(past: _Past, ticks: np.ndarray, visibles: np.ndarray, graph: Graph, name: str) -> None:
    if not len(ticks):
        return
    past.first = int(ticks[0]) if past.first is None else past.first
    past.last = int(ticks[-1])
    position = graph.position(name)
    schedule, node = graph.schedules[position], graph.nodes[position]
    jobs = ticks * schedule.jobs // schedule.ticks
    usual = -(-(jobs + 1) * schedule.ticks // schedule.jobs) if node.compute else ticks
    for each in np.flatnonzero(visibles != usual).tolist():
        past.visibles[int(ticks[each])] = int(visibles[each])
    if node.on is not None:
        for tick, visible in zip(ticks.tolist(), visibles.tolist(), strict=True):
            past.skips.update(range(tick + 1, visible))
        return
    before = jobs[0] - 1 if past.last_job is None else past.last_job
    previous = np.concatenate(([before], jobs[:-1]))
    for each in np.flatnonzero(jobs - previous > 1).tolist():
        missing = range(int(previous[each]) + 1, int(jobs[each]))
        past.skips.update(-(-job * schedule.ticks // schedule.jobs) for job in missing)
    past.last_job = int(jobs[-1])


def backs_of(session: Session, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """For each of the replayed nodes `names` that was restarted: the ticks from which it took part again."""
    found: dict[str, tuple[int, ...]] = {}
    for event in session.events():
        if event["event"] == "back" and event["node"] in names:
            found[event["node"]] = (*found.get(event["node"], ()), event["tick"])
    return found


def sources_for(
    sessions: Mapping[str, Session],
    graph: Graph,
    start: int,
    stop: int,
    loop: bool,
    overrides: Mapping[tuple[str, str], Any],
) -> dict[str, RecordedSource]:
    """The source of every replayed node in `graph`.

    Args:
        sessions: per replayed node, its session.
        start, stop, loop: as for :class:`RecordedSource`.
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
            start=start,
            stop=stop,
            horizon=min(horizon, start - session.graph.first_tick),
            loop=loop,
            overrides={
                topic: Override(node, topic, kinds.get(topic), value)
                for (node, topic), value in overrides.items()
                if node == name
            },
        )
    return found
