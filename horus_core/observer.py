"""Looks at a running graph from outside: its nodes, its topics, and the messages that go by.

What is read are the counters and lanes in the graph's shared memory, which is mapped read-only. An observer has no floor (see
``lane``), takes no lock and posts no semaphore, so nobody in the graph waits for it or even knows of it. A writer overwrites
what an observer has not read yet: that is counted as missed, here and nowhere else.
"""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psutil

from horus_core.control import (
    FREE,
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_RECORDED_BYTES,
    H_RECORDED_LOST,
    H_RELEASED,
    L_COMMIT,
    L_HEAD,
    L_LOST,
    N_CORE,
    fence,
)
from horus_core.counters import node_counters, unread
from horus_core.errors import InvalidValue, UnknownNode, closest
from horus_core.graph import EXTERNAL
from horus_core.lane import E_LENGTH, E_TICK, E_TIME, LaneReader
from horus_core.runtime import RunningGraph
from horus_core.topic import Attachment
from horus_core.values import Decoder

_RECENT = 50  # messages that the rate of a topic is taken from
_ALL_TICKS = 1 << 61


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node of a running graph; durations in milliseconds.

    Attributes:
        state: "starting", "ready", "stopped", "failed" or "dead".
        core: the core that it is pinned to, -1 for none.
        rate_held_hz: ticks per second since the look before, or since the graph started.
        unread: messages in its lanes that it has not taken.
        cpu_percent: of one core, since the look before, or since it started; None if its process is gone.
        memory_bytes: resident; None as well.
    """

    name: str
    state: str
    pid: int
    core: int
    order: int
    rate_hz: float
    rate_held_hz: float
    compute: bool
    replayed: bool
    failure_policy: str
    last_tick: int
    ticks: int
    busy_p50_ms: float
    busy_p99_ms: float
    busy_max_ms: float
    deadline_misses: int
    budget_overruns: int
    errors: int
    restarts: int
    messages_sent: int
    bytes_sent: int
    messages_received: int
    messages_dropped: int
    unread: int
    cpu_percent: float | None
    memory_bytes: int | None
    publishes: list[str]
    subscribes: list[str]


class TopicView(msgspec.Struct, frozen=True, kw_only=True):
    """A topic of a running graph.

    Attributes:
        type: its declared type, '' for any.
        external: messages that came from outside the graph.
        lost: messages that were pushed out before every subscriber had taken them.
        rate_hz: of the latest messages; None if there are fewer than two.
    """

    name: str
    type: str
    publishers: list[str]
    subscribers: list[str]
    messages: int
    external: int
    lost: int
    capacity: int
    rate_hz: float | None


class GraphView(msgspec.Struct, frozen=True, kw_only=True):
    """A running graph at one moment.

    Attributes:
        session: that it records, '' if it does not record.
        tick: the latest that was released.
        rate_held_hz: ticks per second since the look before, or since the graph started.
    """

    id: str
    name: str
    pid: int
    script: str
    session: str
    logs: str
    started_ns: int
    tick_rate: float
    tick: int
    rate_held_hz: float
    recorded_bytes: int
    recorded_lost: int
    nodes: list[NodeView]
    topics: list[TopicView]


class Observer:
    """Looks at one graph, as often as one likes.

    Args:
        graph: what its runtime file says.

    Raises:
        NotRunning: it has just ended.
    """

    def __init__(self, graph: RunningGraph) -> None:
        self.graph = graph
        self._attached = Attachment(graph, read_only=True)
        self._readers: dict[int, LaneReader] = {}
        self._before: tuple[float, int, dict[str, int]] | None = None  # when, tick, ticks per node
        self._processes: dict[int, tuple[psutil.Process, float, float]] = {}  # with its CPU seconds and when

    @property
    def alive(self) -> bool:
        """Whether the graph still runs."""
        return self._attached.alive

    def look(self) -> GraphView:
        """The graph now."""
        graph, control = self.graph, self._attached.control
        now, tick = time.monotonic(), int(control[H_RELEASED])
        counted = [node_counters(control, self._attached.layout, each) for each in range(len(graph.nodes))]
        since, first, ticks = self._before or (now - max(time.time_ns() - graph.started_ns, 1) / 1e9, -1, {})
        seconds = max(now - since, 1e-9)
        self._before = (
            now,
            tick,
            {node.name: each["total_ticks"] for node, each in zip(graph.nodes, counted, strict=True)},
        )
        return GraphView(
            id=graph.id,
            name=graph.name,
            pid=graph.pid,
            script=graph.script,
            session=graph.session,
            logs=graph.logs,
            started_ns=graph.started_ns,
            tick_rate=graph.tick_rate,
            tick=tick,
            rate_held_hz=(tick - first) / seconds,
            recorded_bytes=int(control[H_RECORDED_BYTES]),
            recorded_lost=int(control[H_RECORDED_LOST]),
            nodes=[self._node(each, counters, seconds, ticks) for each, counters in enumerate(counted)],
            topics=[self.topic(name) for name in self._attached.topics()],
        )

    def node(self, name: str) -> NodeView:
        """One node now.

        Raises:
            UnknownNode: the graph has no such node.
        """
        for node in self.look().nodes:
            if node.name == name:
                return node
        raise UnknownNode(f"graph {self.graph.name!r}", name, tuple(node.name for node in self.graph.nodes))

    def _node(self, position: int, counters: dict[str, Any], seconds: float, before: dict[str, int]) -> NodeView:
        node, control, layout = self.graph.nodes[position], self._attached.control, self._attached.layout
        lanes = self.graph.lanes
        inputs = [each for each, lane in enumerate(lanes) if position in lane.reads]
        cpu, memory = self._usage(counters["pid"])
        return NodeView(
            name=node.name,
            state=counters["state"],
            pid=counters["pid"],
            core=int(control[layout.node(position) + N_CORE]),
            order=node.order,
            rate_hz=node.rate,
            rate_held_hz=(counters["total_ticks"] - before.get(node.name, 0)) / seconds,
            compute=node.compute,
            replayed=node.replayed,
            failure_policy=node.failure_policy,
            last_tick=counters["last_tick"],
            ticks=counters["total_ticks"],
            busy_p50_ms=counters["p50_tick_duration_ms"],
            busy_p99_ms=counters["p99_tick_duration_ms"],
            busy_max_ms=counters["max_tick_duration_ms"],
            deadline_misses=counters["deadline_misses"],
            budget_overruns=counters["budget_overruns"],
            errors=counters["errors_count"],
            restarts=counters["restarts"],
            messages_sent=counters["messages_sent"],
            bytes_sent=counters["bytes_sent"],
            messages_received=counters["messages_received"],
            messages_dropped=counters["messages_dropped"],
            unread=sum(unread(control, layout.lane(each) + L_COMMIT, layout.floor(each, position)) for each in inputs),
            cpu_percent=cpu,
            memory_bytes=memory,
            publishes=list(dict.fromkeys(lane.topic for lane in lanes if lane.node == position)),
            subscribes=list(dict.fromkeys(lanes[each].topic for each in inputs)),
        )

    def _usage(self, pid: int) -> tuple[float | None, int | None]:
        """Percent of a core and resident bytes of a process."""
        try:
            if pid not in self._processes:
                process = psutil.Process(pid)
                self._processes[pid] = process, 0.0, process.create_time()
            process, spent, since = self._processes[pid]
            times, now = process.cpu_times(), time.time()
            total = times.user + times.system
            self._processes[pid] = process, total, now
            return 100.0 * max(0.0, total - spent) / max(now - since, 1e-3), int(process.memory_info().rss)
        except psutil.Error:
            return None, None

    def topic(self, name: str) -> TopicView:
        """One topic now.

        Raises:
            InvalidValue: the graph has no such topic.
        """
        attached, graph = self._attached, self.graph
        lanes = lanes_of(attached, name)
        rows = [attached.layout.lane(each) for each in lanes]
        control, nodes = attached.control, graph.nodes
        return TopicView(
            name=name,
            type=graph.lanes[lanes[0]].type,
            publishers=[nodes[graph.lanes[each].node].name for each in lanes if graph.lanes[each].node >= 0],
            subscribers=list(dict.fromkeys(nodes[reader].name for each in lanes for reader in graph.lanes[each].reads)),
            messages=sum(control[row + L_HEAD] for row in rows),
            external=sum(
                control[row + L_HEAD] for row, each in zip(rows, lanes, strict=True) if graph.lanes[each].node < 0
            ),
            lost=sum(control[row + L_LOST] for row in rows),
            capacity=graph.lanes[lanes[0]].capacity,
            rate_hz=self._rate(lanes),
        )

    def _rate(self, lanes: list[int]) -> float | None:
        """Messages per second, from the times of the latest."""
        times: list[int] = []
        for lane in lanes:
            if lane not in self._readers:
                attached = self._attached
                self._readers[lane] = LaneReader(attached.memory, attached.control, attached.layout, lane, observe=True)
            reader = self._readers[lane]
            reader.open(_ALL_TICKS)
            reader.cursor = reader.end
            sent = (reader.word(each, E_TIME) for each in range(max(0, reader.end - _RECENT), reader.end))
            times += [each for each in sent if each != FREE]
        times = sorted(times)[-_RECENT:]
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) * 1e9 / (times[-1] - times[0])


def lanes_of(attached: Attachment, topic: str) -> list[int]:
    """The lanes of `topic`; raises InvalidValue if the graph has no such topic."""
    lanes = attached.lanes(topic)
    if not lanes:
        known = attached.topics()
        expected = f"one of {', '.join(known) or 'none: the graph has no topics'}{closest(topic, known)}"
        raise InvalidValue(f"graph {attached.graph.name!r}: topic", repr(topic), expected)
    return lanes


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it went by; `time_ns` since 1970, `node` is "external" for one from outside."""

    topic: str
    node: str
    tick: int
    time_ns: int
    size: int
    value: Any = None


class Tap:
    """The messages of one topic of a running graph, from now on.

    Args:
        graph: what its runtime file says.
        topic: its name.
        latest: begin with the last message that there is.

    Raises:
        InvalidValue: the graph has no such topic.
        NotRunning: it has just ended.
    """

    def __init__(self, graph: RunningGraph, topic: str, latest: bool = False) -> None:
        self.graph, self.topic = graph, topic
        self._attached = attached = Attachment(graph, read_only=True)
        self._decode = Decoder(topic).decode
        self._offset = int(attached.control[H_EPOCH] - attached.control[H_EPOCH_MONOTONIC])
        self._taps = []
        for lane in lanes_of(attached, topic):
            position = graph.lanes[lane].node
            reader = LaneReader(attached.memory, attached.control, attached.layout, lane, observe=True)
            reader.open(_ALL_TICKS)
            reader.cursor = reader.end
            self._taps.append(_Lane(reader, graph.nodes[position].name if position >= 0 else EXTERNAL))
        held = [each for each in self._taps if each.reader.end]
        if latest and held:
            newest = max(held, key=lambda each: each.reader.word(each.reader.end - 1, E_TICK) % FREE)
            newest.reader.cursor -= 1

    @property
    def alive(self) -> bool:
        """Whether the graph still runs."""
        return self._attached.alive

    @property
    def missed(self) -> int:
        """Messages that were overwritten before they were read here."""
        return sum(each.reader.dropped + each.missed for each in self._taps)

    def messages(self) -> list[Message]:
        """What has come since the last call, in the graph's order, decoded."""
        for each in self._taps:
            each.reader.open(_ALL_TICKS)
        found: list[Message] = []
        while unread := [each for each in self._taps if each.reader.cursor < each.reader.end]:
            lane = min(unread, key=lambda each: each.reader.peek_tick())
            arrived, message = lane.reader.take(functools.partial(self._decoded, lane))
            if arrived:
                found.append(message)
        return found

    def sizes(self) -> list[Message]:
        """What has come since the last call, without the values: payloads are not even looked at."""
        found: list[Message] = []
        for each in self._taps:
            reader = each.reader
            reader.open(_ALL_TICKS)
            for sequence in range(reader.cursor, reader.end):
                tick, sent, size = (reader.word(sequence, which) for which in (E_TICK, E_TIME, E_LENGTH))
                fence()
                if FREE in (tick, sent, size, reader.word(sequence, E_TIME)):
                    each.missed += 1
                else:
                    found.append(self._message(each.node, tick, sent, size, None))
            reader.cursor = reader.end
        return sorted(found, key=lambda message: message.time_ns)

    def _decoded(self, lane: _Lane, encoding: int, payload: memoryview) -> Message:
        """The message that the lane's reader takes; it checks afterwards that nothing of it was overwritten meanwhile."""
        reader = lane.reader
        tick, sent = (reader.word(reader.cursor - 1, which) for which in (E_TICK, E_TIME))
        return self._message(lane.node, tick, sent, len(payload), self._decode(encoding, payload))

    def _message(self, node: str, tick: int, sent: int, size: int, value: Any) -> Message:
        return Message(topic=self.topic, node=node, tick=tick, time_ns=sent + self._offset, size=size, value=value)


@dataclass
class _Lane:
    """A lane that is listened to, and who publishes on it."""

    reader: LaneReader
    node: str
    missed: int = 0


@dataclass
class Flow:
    """How a topic flows, over the messages of the last `window` seconds.

    Args:
        window: seconds.
    """

    window: float
    _times: list[int] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)

    def add(self, messages: list[Message]) -> None:
        """Takes note of `messages`."""
        self._times += [message.time_ns for message in messages]
        self._sizes += [message.size for message in messages]
        if self._times:
            old = self._times[-1] - round(self.window * 1e9)
            first = next(index for index, each in enumerate(self._times) if each >= old)
            del self._times[:first], self._sizes[:first]

    def measured(self) -> Measure:
        """What they come to."""
        times, sizes = self._times, self._sizes
        gaps = [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(times)]
        seconds = sum(gaps)
        mean = seconds / len(gaps) if gaps else 0.0
        return Measure(
            messages=len(times),
            seconds=seconds,
            rate_hz=len(gaps) / seconds if seconds else None,
            period_mean_ms=mean * 1e3 if gaps else None,
            period_min_ms=min(gaps) * 1e3 if gaps else None,
            period_max_ms=max(gaps) * 1e3 if gaps else None,
            period_deviation_ms=(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 * 1e3 if gaps else None,
            bytes_per_second=sum(sizes[1:]) / seconds if seconds else None,
            size_mean=sum(sizes) / len(sizes) if sizes else None,
            size_min=min(sizes, default=None),
            size_max=max(sizes, default=None),
        )


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Rate and size of a topic's messages; None where there are too few to say.

    Attributes:
        seconds: from the first to the last of them.
        period_deviation_ms: the standard deviation.
    """

    messages: int
    seconds: float
    rate_hz: float | None
    period_mean_ms: float | None
    period_min_ms: float | None
    period_max_ms: float | None
    period_deviation_ms: float | None
    bytes_per_second: float | None
    size_mean: float | None
    size_min: int | None
    size_max: int | None
