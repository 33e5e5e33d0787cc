"""What is in a session: nodes, topics, ticks, what happened, what is missing and what is damaged."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.recording.durations import Durations
from horus_core.recording.file import Damage
from horus_core.recording.format import STATUSES
from horus_core.recording.header import NodeRecord
from horus_core.recording.loss import Hole, LaneCount
from horus_core.recording.messages import Messages, read_messages
from horus_core.recording.names import file_stem
from horus_core.recording.reader import Session
from horus_core.recording.ticks import TickRows, read_ticks

_MOST_INCIDENTS = 1000
_ORDINARY = frozenset({"start", "ready", "stop", "end", "miss"})  # misses are counted; a bad run has thousands
_LATE, _ERROR = STATUSES.index("late"), STATUSES.index("error")


class NodeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A node of a session.

    Attributes:
        rate: in Hz, as declared; 0 for what published from outside the graph.
        ticks: in how many it ran.
        late, errors: in how many of these it missed its deadline, or raised.
        busy_p50, busy_p99, busy_max: how long a tick took, in ns; percentiles within 0.4 %.
        messages, bytes: what it sent.
        dropped: messages that full lanes had pushed out before it read them.
        events: how often what happened to it: miss, crash, restart, ...
    """

    name: str
    rate: float
    compute: bool
    replayed: bool
    ticks: int
    late: int
    errors: int
    busy_p50: int
    busy_p99: int
    busy_max: int
    messages: int
    bytes: int
    dropped: int
    events: dict[str, int]


class TopicSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one node sent on one topic. `rate` is messages per second of the graph's time, `lost` how many are missing."""

    topic: str
    node: str
    type: str
    messages: int
    bytes: int
    rate: float
    lost: int


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `node` is '' for the graph, `time` in ns since 1970."""

    time: int
    tick: int
    node: str
    event: str
    detail: Any


class SessionOverview(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a line.

    Attributes:
        state: "complete", "running" or "recovered".
        created: when, ISO 8601; `created_ns` in ns since 1970.
        duration: of the graph's time, in seconds.
        ticks: how many were released.
        nodes: their names.
        messages: how many were recorded, if they were counted; damage inside a batch is not looked for.
        size: bytes on disk, logs and script included.
        parts: into how many sets of files it is split.
    """

    name: str
    state: str
    created: str
    created_ns: int
    duration: float
    ticks: int
    nodes: list[str]
    messages: int | None
    size: int
    parts: int


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All about a session.

    Attributes:
        name, state, created, created_ns, duration, size: as in :class:`SessionOverview`.
        tick_rate: of the graph; first_tick, last_tick, ticks: what of it is recorded.
        deterministic, seed: of the graph.
        nodes, topics: in the graph's order.
        messages: how many are there.
        lost: how many are missing, by the sequence numbers and by what other nodes could receive; holes tells where.
        holes: at most 100 per topic.
        events: how often what happened, all nodes together.
        incidents: crashes, restarts, gaps and the like; the first 1,000.
        damage: what could not be read.
        repaired: whether "horus record repair" has mended it.
        script, script_sha256, replay_of, host, machine, versions: of the run.
    """

    name: str
    state: str
    created: str
    created_ns: int
    duration: float
    size: int
    tick_rate: float
    first_tick: int
    last_tick: int
    ticks: int
    deterministic: bool
    seed: int
    nodes: list[NodeSummary]
    topics: list[TopicSummary]
    messages: int
    lost: int
    holes: list[Hole]
    events: dict[str, int]
    incidents: list[Incident]
    damage: list[str]
    repaired: bool
    script: str
    script_sha256: str
    replay_of: str
    host: str
    machine: str
    versions: dict[str, str]

    @property
    def loss(self) -> str:
        """What is missing, in a few words: ``lost 0 of 1,234 messages``."""
        return f"lost {self.lost:,} of {self.messages + self.lost:,} messages"


def overview(session: Session, count_messages: bool = False) -> SessionOverview:
    """A session in a line, from its header, its events and what batches say of themselves: no payload is read.

    Args:
        session: see :func:`horus_core.recording.sessions.find_session`.
        count_messages: also look at every batch, some 10 µs each.

    >>> overview(find_session("monday")).ticks  # doctest: +SKIP
    500
    """
    messages = None
    if count_messages:
        messages = sum(seal.rows for node in session.senders for seal in session.marks(file_stem(node)))
    ticks = max(session.last_tick() - session.first_tick() + 1, 0)
    return SessionOverview(
        name=session.name,
        state=session.state,
        created=_iso(session.header.created_ns),
        created_ns=session.header.created_ns,
        duration=ticks / session.graph.tick_rate,
        ticks=ticks,
        nodes=list(session.nodes),
        messages=messages,
        size=session.size(),
        parts=len({session.part_of(path) for path in session.paths()}),
    )


def summarize(session: Session) -> SessionSummary:
    """All about a session. Reads every file once, in constant memory.

    Args:
        session: see :func:`horus_core.recording.sessions.find_session`.

    >>> summarize(find_session("monday")).loss  # doctest: +SKIP
    'lost 0 of 1,234,567 messages'
    """
    count = _Count(session)
    header, graph = session.header, session.graph
    first_tick = session.first_tick()
    ticks = max(count.last_tick - first_tick + 1, 0)
    duration = ticks / graph.tick_rate
    return SessionSummary(
        name=session.name,
        state=session.state,
        created=_iso(header.created_ns),
        created_ns=header.created_ns,
        duration=duration,
        size=session.size(),
        tick_rate=graph.tick_rate,
        first_tick=first_tick,
        last_tick=count.last_tick,
        ticks=ticks,
        deterministic=graph.deterministic,
        seed=graph.seed,
        nodes=count.nodes(),
        topics=count.topics(duration),
        messages=sum(lane.messages for lane in count.lanes.values()),
        lost=sum(lane.lost for lane in count.lanes.values()),
        holes=[hole for lane in count.lanes.values() for hole in lane.holes],
        events=dict(count.events),
        incidents=count.incidents,
        damage=[str(each) for each in count.damage],
        repaired="repair" in count.events,
        script=header.script,
        script_sha256=header.script_sha256,
        replay_of=header.replay_of,
        host=header.host,
        machine=header.machine,
        versions=header.versions,
    )


class _Count:
    """Reads a session once and counts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.damage: list[Damage] = list(session.damage)
        self.events: Counter[str] = Counter()
        self.incidents: list[Incident] = []
        self._events_of: dict[str, Counter[str]] = {}
        self.last_tick = session.graph.first_tick - 1
        self._count_events()
        self._durations = {name: Durations() for name in session.nodes}
        self._statuses = {name: np.zeros(len(STATUSES), dtype=np.int64) for name in session.nodes}
        self._dropped = dict.fromkeys(session.nodes, 0)
        self._ends = np.zeros(len(session.graph.lanes), dtype=np.int64)
        for rows in read_ticks(session, self.damage):
            self._count_ticks(rows)
        self.lanes: dict[tuple[str, str], LaneCount] = {}
        self._count_messages()

    def _count_events(self) -> None:
        for batch in self._session.batches("events", self.damage):
            columns = [batch.column(name) for name in ("tick", "node", "event")]
            names = columns[2].to_pylist()
            for tick, node, event in zip(columns[0].to_pylist(), columns[1].to_pylist(), names, strict=True):
                self._count_event(tick, node, event)
            chosen = [place for place, event in enumerate(names) if event not in _ORDINARY]
            for place in chosen[: _MOST_INCIDENTS - len(self.incidents)]:
                self.incidents.append(_incident(batch, place))

    def _count_event(self, tick: int, node: str, event: str) -> None:
        self.events[event] += 1
        if event == "end":
            self.last_tick = max(self.last_tick, tick)
        if node:
            self._events_of.setdefault(node, Counter())[event] += 1

    def _count_ticks(self, rows: TickRows) -> None:
        self.last_tick = max(self.last_tick, int(rows.tick.max(initial=self.last_tick)))
        for place, name in enumerate(rows.nodes):
            mine = np.flatnonzero(rows.node == place)
            if len(mine) and name in self._durations:
                self._durations[name].add(rows.duration[mine])
                self._statuses[name] += np.bincount(rows.status[mine], minlength=len(STATUSES))
                self._dropped[name] = max(self._dropped[name], int(rows.dropped[mine].max()))
        known = (rows.lane >= 0) & (rows.lane < len(self._ends))
        np.maximum.at(self._ends, rows.lane[known], rows.end[known])

    def _count_messages(self) -> None:
        lanes = self._session.graph.lanes
        ends = {(lane.node, lane.topic): int(end) for lane, end in zip(lanes, self._ends, strict=True)}
        trimmed = "trim" in self.events
        for node in self._session.senders:
            from_start = not trimmed and self._session.begins
            for lane in lanes:
                if lane.node == node:
                    self.lanes[node, lane.topic] = LaneCount(lane.topic, node, from_start)
            for block in read_messages(self._session, node, self.damage):
                self._count_block(node, block, from_start)
        for key, lane_count in list(self.lanes.items()):
            lane_count.end(ends.get(key, 0))
            if key[0] not in self._session.nodes and not lane_count.messages and not lane_count.lost:
                del self.lanes[key]  # nobody has published on that topic from outside

    def _count_block(self, node: str, block: Messages, from_start: bool) -> None:
        for place in np.unique(block.topic).tolist():
            topic = block.topics[place]
            rows = np.flatnonzero(block.topic == place)
            lane = self.lanes.setdefault((node, topic), LaneCount(topic, node, from_start))
            lane.add(block.sequence[rows], block.tick[rows], int(block.length[rows].sum()))

    def nodes(self) -> list[NodeSummary]:
        """The nodes of the graph, then who published from outside."""
        records = self._session.nodes
        others = {node for node, _ in self.lanes if node not in records}
        return [self._node(name, records.get(name)) for name in [*records, *sorted(others)]]

    def _node(self, name: str, record: NodeRecord | None) -> NodeSummary:
        busy = self._durations.get(name, Durations())
        statuses = self._statuses.get(name, np.zeros(len(STATUSES), dtype=np.int64))
        lanes = [lane for (node, _), lane in self.lanes.items() if node == name]
        return NodeSummary(
            name=name,
            rate=record.rate if record else 0.0,
            compute=record is not None and record.compute,
            replayed=record is not None and record.replayed,
            ticks=busy.count,
            late=int(statuses[_LATE]),
            errors=int(statuses[_ERROR]),
            busy_p50=busy.percentile(50),
            busy_p99=busy.percentile(99),
            busy_max=busy.largest,
            messages=sum(lane.messages for lane in lanes),
            bytes=sum(lane.size for lane in lanes),
            dropped=self._dropped.get(name, 0),
            events=dict(self._events_of.get(name, {})),
        )

    def topics(self, duration: float) -> list[TopicSummary]:
        """The lanes of the graph."""
        types = {(lane.node, lane.topic): lane.type for lane in self._session.graph.lanes}
        return [
            TopicSummary(
                topic=lane.topic,
                node=lane.node,
                type=types.get(key, ""),
                messages=lane.messages,
                bytes=lane.size,
                rate=lane.messages / duration if duration else 0.0,
                lost=lane.lost,
            )
            for key, lane in self.lanes.items()
        ]


def _incident(batch: pa.RecordBatch, row: int) -> Incident:
    time, tick, node, event, detail = (column[row] for column in batch.columns)
    return Incident(
        time=time.value, tick=tick.as_py(), node=node.as_py(), event=event.as_py(), detail=_decoded(detail.as_py())
    )


def _decoded(detail: str) -> Any:
    try:
        return msgspec.json.decode(detail)
    except (msgspec.MsgspecError, RecursionError):
        return detail


def _iso(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return ""
