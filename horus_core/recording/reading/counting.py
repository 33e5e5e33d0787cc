"""Reads a session once and counts: per node, per topic, and what happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.recording.format.header import NodeRecord
from horus_core.recording.format.schemas import STATUSES
from horus_core.recording.reading.durations import Durations
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.loss import LaneCount
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.ticks import TickRows, read_ticks

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


class Count:
    """What was counted in a session.

    Attributes:
        damage: what could not be read.
        events: how often what happened.
        incidents: crashes, restarts and the like; the first 1,000.
        last_tick: the last one that was released.
        lanes: by node and topic.
    """

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
                if lane.node == node and lane.recorded:
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
