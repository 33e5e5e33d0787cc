"""The graph as data: nodes, topics, lanes and who waits for whom, checked once, at the door.

Nodes are placed in one order: first by ``order``, then publisher before subscriber, then as added. An edge along that
order delivers within the tick, an edge against it (a cycle, or a node that hears itself) in the next tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from horus_core.errors import DuplicateNode, EmptyGraph, TopicConflict
from horus_core.graph.restart import DEFAULT_RESTART, Restart
from horus_core.graph.schedule import NodeSchedule

SAMPLE = "~"  # between a node's name and that of a side input, in the name of its topic
EXTERNAL = "external"  # the publisher's name of what Topic.send brings from outside the graph
DEADLINE_SHARE = 0.95
BUDGET_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One declaration of a topic.

    Attributes:
        kind: the type of its values; None for any.
        capacity: messages that a lane keeps.
        latch: its last message is the first that a subscriber gets when it starts to listen.
    """

    name: str
    kind: Any = None
    capacity: int = 1024
    latch: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node declared. Rate in Hz; budget, deadline, watchdog and critical in seconds, None for the default."""

    name: str
    rate: float
    pubs: tuple[TopicSpec, ...] = ()
    subs: tuple[TopicSpec, ...] = ()
    order: int = 0
    budget: float | None = None
    deadline: float | None = None
    on_miss: str = "warn"
    failure_policy: str = "fatal"
    compute: bool = False
    on: str | None = None
    priority: int | None = None
    core: int | None = None
    spin: float = 0.0
    watchdog: float | None = None
    replayed: bool = False
    restart: Restart = DEFAULT_RESTART
    memory_mb: float | None = None
    open_files: int | None = None
    safe_state: bool = False  # whether it has such a callback
    critical: float | None = None  # seconds that it may be stuck before safe mode begins
    samples: tuple[str, ...] = ()  # its side inputs

    @property
    def period(self) -> float:
        """Seconds between two of its ticks."""
        return 1.0 / self.rate


@dataclass(frozen=True, slots=True)
class Lane:
    """The messages of one node on one topic."""

    index: int
    topic: str
    node: int  # the publisher's position; -1: from outside
    kind: Any
    capacity: int
    readers: tuple[int, ...]  # positions of the subscribers
    latch: bool = False

    @property
    def external(self) -> bool:
        """Whether it carries what comes from outside the graph."""
        return self.node < 0


@dataclass(frozen=True, slots=True)
class Input:
    """A lane as one node reads it: in tick k it sees messages that became visible up to tick ``k - lag``."""

    lane: int
    lag: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by position, their lanes, and the edges between them.

    Attributes:
        waits: per node, the positions of those that it waits for within a tick.
        feeds: per node, the positions of those that wait for it within a tick.
        delayed: per node, the positions of those that hear it a tick later, and so wait for its previous tick.
        outputs: per node, its lanes.
        inputs: per node, the lanes that it reads.
        deadlines: per node, seconds after its release at which its outputs are due.
    """

    tick_rate: float
    nodes: tuple[NodeSpec, ...]
    lanes: tuple[Lane, ...]
    schedules: tuple[NodeSchedule, ...]
    waits: tuple[tuple[int, ...], ...]
    feeds: tuple[tuple[int, ...], ...]
    delayed: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    inputs: tuple[tuple[Input, ...], ...]
    deadlines: tuple[float, ...]

    @property
    def outside(self) -> str:
        """Under which name messages from outside are recorded: "external", unless a node replays what was."""
        return EXTERNAL if all(node.name != EXTERNAL for node in self.nodes) else f"{EXTERNAL}-live"

    def position(self, name: str) -> int:
        """The position of the node called `name`; KeyError if there is none."""
        for position, node in enumerate(self.nodes):
            if node.name == name:
                return position
        raise KeyError(name)


def build_graph(specs: Sequence[NodeSpec], tick_rate: float) -> Graph:
    """The graph of `specs`, in the order they were added.

    Args:
        specs: the nodes.
        tick_rate: Hz; the graph's rate is the larger of it and the fastest node's.

    Raises:
        EmptyGraph, DuplicateNode, TopicConflict, InvalidValue: see their words.
    """
    if not specs:
        raise EmptyGraph()
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise DuplicateNode(spec.name)
        seen.add(spec.name)
    rate = max([tick_rate, *(spec.rate for spec in specs if spec.on is None)])
    # An event-driven node may run in any tick.
    nodes = tuple(replace(spec, rate=rate) if spec.on is not None else spec for spec in _placed(specs))
    kinds, capacities = _topics(nodes)
    lanes = _lanes(nodes, kinds, capacities)
    outputs = tuple(tuple(lane.index for lane in lanes if lane.node == each) for each in range(len(nodes)))
    waits, delayed, inputs = _edges(nodes, lanes)
    feeds = tuple(tuple(other for other in range(len(nodes)) if each in waits[other]) for each in range(len(nodes)))
    hears = tuple(tuple(other for other in range(len(nodes)) if each in delayed[other]) for each in range(len(nodes)))
    return Graph(
        tick_rate=rate,
        nodes=nodes,
        lanes=lanes,
        schedules=tuple(NodeSchedule(node.rate, rate) for node in nodes),
        waits=waits,
        feeds=feeds,
        delayed=hears,
        outputs=outputs,
        inputs=inputs,
        deadlines=tuple(
            _deadline(node, [nodes[other] for other in feeds[each] + hears[each]]) for each, node in enumerate(nodes)
        ),
    )


def _placed(specs: Sequence[NodeSpec]) -> list[NodeSpec]:
    """`specs` in the graph's order."""
    placed: list[NodeSpec] = []
    for order in sorted({spec.order for spec in specs}):
        left = [spec for spec in specs if spec.order == order]
        publishers = {
            spec.name: {other.name for other in left if other is not spec and _shares(other.pubs, spec.subs)}
            for spec in left
        }
        while left:
            chosen = _first(left, publishers)
            placed.append(chosen)
            left.remove(chosen)
    return placed


def _first(left: list[NodeSpec], publishers: dict[str, set[str]]) -> NodeSpec:
    """The first of `left` that hears none of the others; in a cycle, the first of a cycle that hears nobody outside it."""
    names = {spec.name for spec in left}
    above = {name: publishers[name] & names for name in names}
    for spec in left:
        if not above[spec.name]:
            return spec
    reach = {name: _ancestors(name, above) for name in names}
    return next(spec for spec in left if all(spec.name in reach[other] for other in reach[spec.name]))


def _ancestors(name: str, above: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(above[name])
    while pending:
        each = pending.pop()
        if each not in found:
            found.add(each)
            pending.extend(above[each])
    return found


def _shares(pubs: Sequence[TopicSpec], subs: Sequence[TopicSpec]) -> bool:
    return not {topic.name for topic in pubs}.isdisjoint(topic.name for topic in subs)


def _topics(nodes: Sequence[NodeSpec]) -> tuple[dict[str, Any], dict[str, int]]:
    """The type and the capacity of each topic, from all its declarations."""
    kinds: dict[str, Any] = {}
    capacities: dict[str, int] = {}
    for node in nodes:
        for topic in (*node.pubs, *node.subs):
            known = kinds.get(topic.name)
            if topic.kind is not None and known is not None and _kind_name(known) != _kind_name(topic.kind):
                raise TopicConflict(topic.name, _kind_name(known), _kind_name(topic.kind))
            kinds[topic.name] = known if known is not None else topic.kind
            capacities[topic.name] = max(capacities.get(topic.name, 1), topic.capacity)
    return kinds, capacities


def _kind_name(kind: Any) -> str:
    return getattr(kind, "__qualname__", None) or str(kind)


def _lanes(nodes: Sequence[NodeSpec], kinds: dict[str, Any], capacities: dict[str, int]) -> tuple[Lane, ...]:
    """A lane per publisher and topic, then one from outside per topic that a node hears."""
    hearers: dict[str, tuple[int, ...]] = {}
    for position, node in enumerate(nodes):
        for topic in () if node.replayed else node.subs:  # a replayed node's inputs only place it
            if position not in hearers.get(topic.name, ()):
                hearers[topic.name] = (*hearers.get(topic.name, ()), position)
    pairs = [(topic.name, position) for position, node in enumerate(nodes) for topic in node.pubs]
    pairs = list(dict.fromkeys(pairs))
    pairs += [(sample_topic(node.name, each), position) for position, node in enumerate(nodes) for each in node.samples]
    pairs += [(name, -1) for name in kinds]
    latched = {topic.name for node in nodes for topic in node.pubs if topic.latch}
    return tuple(
        Lane(index, name, node, kinds.get(name), capacities.get(name, 1), hearers.get(name, ()), name in latched)
        for index, (name, node) in enumerate(pairs)
    )


def sample_topic(node: str, name: str) -> str:
    """The topic that holds what `node` was given for its side input `name`.

    >>> sample_topic("driver", "gps")
    'driver~gps'
    """
    return f"{node}{SAMPLE}{name}"


def _edges(
    nodes: Sequence[NodeSpec], lanes: Sequence[Lane]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...], tuple[tuple[Input, ...], ...]]:
    waits: list[list[int]] = [[] for _ in nodes]
    delayed: list[list[int]] = [[] for _ in nodes]
    inputs: list[list[Input]] = [[] for _ in nodes]
    for lane in lanes:
        for reader in lane.readers:
            # What a compute node sends, and what comes from outside, becomes visible at a release: nobody waits for it.
            at_release = lane.external or nodes[lane.node].compute
            lag = 0 if at_release or lane.node < reader else 1
            inputs[reader].append(Input(lane.index, lag))
            waiting = delayed if lag else waits
            if not at_release and lane.node not in waiting[reader] and lane.node != reader:
                waiting[reader].append(lane.node)
    for reader, found in enumerate(inputs):
        # Merged by (tick, publisher's position, sequence): what comes from outside, first.
        inputs[reader] = sorted(found, key=lambda each: lanes[each.lane].node)
    return tuple(map(tuple, waits)), tuple(map(tuple, delayed)), tuple(map(tuple, inputs))


def _deadline(node: NodeSpec, hearers: Sequence[NodeSpec]) -> float:
    """Seconds after the release: as declared, else 95 % of the shortest period among the node's and its hearers'."""
    if node.deadline is not None:
        return min(node.deadline, node.period)
    if node.compute:
        return node.period
    return DEADLINE_SHARE * min([node.period, *(hearer.period for hearer in hearers)])
