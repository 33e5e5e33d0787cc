"""Reads a session once and counts: per node, per topic, and what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.recording.format.header import SENT, NodeRecord
from horus_core.recording.format.names import FILE_NAME, file_stem
from horus_core.recording.format.schemas import STATUSES
from horus_core.recording.reading.durations import Durations
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.loss import LaneCount, NodeLoss, loss_of
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.ticks import TickRows, read_ticks
from horus_core.recording.reading.told import Told, told_by

_MOST_INCIDENTS = 1000
_ORDINARY = frozenset({"start", "ready", "stop", "end", "miss", SENT})  # misses are counted; a bad run has thousands
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
        lost: how many of what it sent are known to be missing.
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
    lost: int
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
        losses: what is missing, by node.
        counted: whether that is all that is missing.
        told: what the events tell.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.damage: list[Damage] = list(session.damage)
        self.events: Counter[str] = Counter()
        self.incidents: list[Incident] = []
        self._events_of: dict[str, Counter[str]] = {}
        self.last_tick = session.graph.first_tick - 1
        self.told = Told()
        self._count_events()
        self._durations = {name: Durations() for name in session.nodes}
        self._statuses = {name: np.zeros(len(STATUSES), dtype=np.int64) for name in session.nodes}
        self._dropped = dict.fromkeys(session.nodes, 0)
        self._ran_to = dict.fromkeys(session.nodes, -1)
        self._ends = np.zeros(len(session.graph.lanes), dtype=np.int64)
        before = len(self.damage)
        for rows in read_ticks(session, self.damage):
            self._count_ticks(rows)
        self._ticks_whole = all(not each.rows for each in self._damage_of("scheduler", before))
        self.lanes: dict[tuple[str, str], LaneCount] = {}
        self.losses: list[NodeLoss] = []
        ended = session.state != "recovered" and self.told.counted
        self.counted = not self.told.ended_early and (ended or bool(self.told.sent))
        self._count_messages()

    def _count_events(self) -> None:
        before = len(self.damage)
        for batch in self._session.batches("events", self.damage):
            self.told.add(batch)
            columns = [batch.column(name) for name in ("tick", "node", "event")]
            names = columns[2].to_pylist()
            for tick, node, event in zip(columns[0].to_pylist(), columns[1].to_pylist(), names, strict=True):
                self._count_event(tick, node, event)
            chosen = [place for place, event in enumerate(names) if event not in _ORDINARY]
            for place in chosen[: _MOST_INCIDENTS - len(self.incidents)]:
                self.incidents.append(_incident(batch, place))
        self.told.end(self._session, len(self.damage) > before)

    def _count_event(self, tick: int, node: str, event: str) -> None:
        if event == SENT:
            return
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
                self._ran_to[name] = max(self._ran_to[name], int(rows.tick[mine].max()))
                self._dropped[name] = max(self._dropped[name], int(rows.dropped[mine].max()))
        known = (rows.lane >= 0) & (rows.lane < len(self._ends))
        np.maximum.at(self._ends, rows.lane[known], rows.end[known])

    def _count_messages(self) -> None:
        lanes = self._session.graph.lanes
        ends = {(lane.node, lane.topic): int(end) for lane, end in zip(lanes, self._ends, strict=True)}
        running = self._session.state == "running"  # its files end in different ticks
        for node, topics in self.told.sent.items():
            for topic, sent in topics.items():
                ends[node, topic] = max(ends.get((node, topic), 0), sent)
        # What begins in mid-recording, a trimmed session or a replay of a range, does not hold the lanes' first messages.
        from_start = not self.told.trimmed and self._session.begins and self._session.graph.first_tick == 0
        for node in self._session.senders:
            for lane in lanes:
                if lane.node == node and lane.recorded:
                    self.lanes[node, lane.topic] = LaneCount(lane.topic, node, from_start)
            before = len(self.damage)
            for block in read_messages(self._session, node, self.damage):
                self._count_block(node, block, from_start)
            mine = [lane for (name, _), lane in self.lanes.items() if name == node]
            for lane_count in mine:
                lane_count.end(0 if running else ends.get((node, lane_count.topic), 0))
            self._note_loss(node, mine, self._damage_of(file_stem(node), before))
        for key, lane_count in list(self.lanes.items()):
            if key[0] not in self._session.nodes and not lane_count.messages and not lane_count.lost:
                del self.lanes[key]  # nobody has published on that topic from outside

    def _damage_of(self, stem: str, before: int) -> list[Damage]:
        """What was noted of one file since there were `before` notes, and before anything was read."""
        found = self.damage[before:]
        for each in self._session.damage:
            match = FILE_NAME.match(Path(each.path).name)
            if match and (match["stem"], match["id"]) == (stem, self._session.id):
                found.append(each)
        return found

    def _note_loss(self, node: str, lanes: list[LaneCount], damage: list[Damage]) -> None:
        ran_to = self._ran_to.get(node) if self._ticks_whole else None
        found = loss_of(node, lanes, damage, node in self.told.sent, ran_to)
        proven = self.told.proves(node, all(lane.began for lane in lanes))
        repaired = 0 if self.told.trimmed or proven else self.told.lost.get(node, 0)
        uncounted = lanes and not proven and self.told.is_uncounted(node)
        if repaired or uncounted:
            found = found or NodeLoss(node=node, messages=0, counted=True, after_tick=-1, before_tick=-1)
            least = max(found.messages, repaired)
            found = msgspec.structs.replace(found, messages=least, counted=found.counted and not uncounted)
        if found is None:
            return
        self.counted &= found.counted
        if found.counted or found.messages or uncounted or not self._ends_with_all(node, damage):
            self.losses.append(found)

    def _ends_with_all(self, node: str, damage: list[Damage]) -> bool:
        """Whether its files go as far as the node is known to have run: then they end where all of the session does."""
        ran_to = self._ran_to.get(node, -1)
        return all(each.last < 0 and not each.whole and ran_to <= each.first for each in damage if each.rows < 0)

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
            lost=sum(loss.messages for loss in self.losses if loss.node == name),
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


def likely_losses(session: Session, damage: Sequence[Damage]) -> list[NodeLoss]:
    """What is missing of a session's messages; counted only where `damage` or anything else tells that something may be."""
    suspect = damage or session.state == "recovered" or not told_by(session).is_whole
    return losses_of(session) if suspect else []


def losses_of(session: Session) -> list[NodeLoss]:
    """What is missing of a session's messages, by node; reads every file once.

    >>> losses_of(find_session("monday"))  # doctest: +SKIP
    [NodeLoss(node='driver', messages=157, counted=True, after_tick=143, before_tick=-1)]
    """
    return Count(session).losses
