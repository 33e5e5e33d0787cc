"""A graph as it would run, for people and programs to look at before it does."""

from __future__ import annotations

import msgspec

from horus_core.engine.placement import Placement
from horus_core.errors import closest
from horus_core.graph.spec import Graph
from horus_core.scheduler.scheduler import Scheduler


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a node hears on a topic, and when.

    Attributes:
        lag: ticks later: 0 within the tick, 1 in the next; -1 at the sender's next release, where that is a compute node.
    """

    topic: str
    node: str
    lag: int


class NodePreview(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it would run.

    Attributes:
        core: where it would be placed.
        deadline_ms: after its release, when its outputs are due.
        on: the topic that makes it run, '' if its rate does.
        feeds: the nodes that hear it.
    """

    name: str
    rate_hz: float
    order: int
    core: int
    deadline_ms: float
    compute: bool
    on: str
    failure_policy: str
    replayed: bool
    publishes: list[str]
    hears: list[Hearing]
    feeds: list[str]


class GraphPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A graph as it would run, its nodes in the order in which they run.

    Attributes:
        notes: what is legal and may still be a mistake, a line each.
    """

    tick_rate: float
    nodes: list[NodePreview]
    notes: list[str]


def preview(scheduler: Scheduler) -> GraphPreview:
    """What `scheduler` would run.

    Raises:
        EmptyGraph, TopicConflict, InvalidValue, UnshippableCallable: it would not run.
    """
    graph, placement = scheduler.check()
    return GraphPreview(
        tick_rate=graph.tick_rate,
        nodes=[_node(graph, placement, position) for position in range(len(graph.nodes))],
        notes=_notes(graph),
    )


def _node(graph: Graph, placement: Placement, position: int) -> NodePreview:
    node = graph.nodes[position]
    hears = []
    for entry in graph.inputs[position]:
        lane = graph.lanes[entry.lane]
        if not lane.external:
            sender = graph.nodes[lane.node]
            hears.append(Hearing(topic=lane.topic, node=sender.name, lag=-1 if sender.compute else entry.lag))
    readers = dict.fromkeys(reader for lane in graph.outputs[position] for reader in graph.lanes[lane].readers)
    return NodePreview(
        name=node.name,
        rate_hz=node.rate,
        order=node.order,
        core=placement.nodes[position],
        deadline_ms=graph.deadlines[position] * 1e3,
        compute=node.compute,
        on=node.on or "",
        failure_policy=node.failure_policy,
        replayed=node.replayed,
        publishes=[graph.lanes[lane].topic for lane in graph.outputs[position]],
        hears=hears,
        feeds=[graph.nodes[reader].name for reader in readers],
    )


def _notes(graph: Graph) -> list[str]:
    """Topics that somebody hears and no node publishes, mostly misspelt; and fast nodes that wait for a slow one."""
    published = sorted({lane.topic for lane in graph.lanes if not lane.external})
    notes = []
    for lane in graph.lanes:
        if lane.external and lane.readers and lane.topic not in published:
            readers = ", ".join(graph.nodes[reader].name for reader in lane.readers)
            notes.append(f"no node publishes {lane.topic!r}, which {readers} hears{closest(lane.topic, published)}")
    for position, node in enumerate(graph.nodes):
        faster = [graph.nodes[each] for each in graph.feeds[position] if graph.nodes[each].rate > node.rate]
        if faster and not node.replayed:
            notes.append(
                f"{faster[0].name} ({faster[0].rate:g} Hz) waits for {node.name} ({node.rate:g} Hz), which so has "
                f"{graph.deadlines[position] * 1e3:g} ms for a tick; compute=True if it needs longer"
            )
    return notes
