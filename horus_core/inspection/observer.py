"""Looks at a running graph from outside: its nodes, its topics, and the messages that go by.

What is read are the counters and lanes in the graph's shared memory, which is mapped read-only. An observer has no floor (see
``lane``), takes no lock and posts no semaphore, so nobody in the graph waits for it or even knows of it. A writer overwrites
what an observer has not read yet: that is counted as missed, here and nowhere else.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import psutil

from horus_core.errors import UnknownNode
from horus_core.inspection.counters import node_counters, unread
from horus_core.inspection.running_graphs import RunningGraph
from horus_core.inspection.tap import ALL_TICKS, lanes_of
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import (
    FREE,
    H_RECORDED_BYTES,
    H_RECORDED_LOST,
    H_RELEASED,
    L_COMMIT,
    L_HEAD,
    L_LOST,
    N_CORE,
)
from horus_core.memory.lane import LaneReader
from horus_core.memory.segment import E_TIME

_RECENT = 50  # messages that the rate of a topic is taken from


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
            reader.open(ALL_TICKS)
            reader.cursor = reader.end
            sent = (reader.word(each, E_TIME) for each in range(max(0, reader.end - _RECENT), reader.end))
            times += [each for each in sent if each != FREE]
        times = sorted(times)[-_RECENT:]
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) * 1e9 / (times[-1] - times[0])
