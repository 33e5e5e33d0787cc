"""What a header may say. Its checksum tells that it is what was written, not that a recorder wrote it."""

from __future__ import annotations

from horus_core.recording.format.header import GraphRecord, Header, NodeRecord

_MOST_HERTZ = 1e6
_MOST_CAPACITY = 1 << 20
_LAST_TICK = 1 << 48  # 89 years at 100 kHz
_LAST_NS = 1 << 63
_LONGEST_NAME = 200  # of nodes and topics
_LONGEST_TEXT = 1 << 14  # paths, types


def absurd(header: Header) -> str:
    """What in `header` no recorder writes, in a few words; '' if nothing."""
    graph = header.graph
    texts = (header.session, header.script, header.script_sha256, header.host, header.machine)
    if any(
        len(text) > _LONGEST_TEXT for text in (*texts, header.replay_of, *header.versions, *header.versions.values())
    ):
        return f"a text in it has over {_LONGEST_TEXT:,} characters"
    if not 0 <= header.part < 1e9:
        return f"the part is {header.part}"
    if not 0 <= header.created_ns < _LAST_NS:
        return f"the time is {_shown(header.created_ns)} ns"
    return _absurd_graph(graph) or next(filter(None, (_absurd_node(node, graph) for node in graph.nodes)), "")


def _absurd_graph(graph: GraphRecord) -> str:
    if not 0 < graph.tick_rate <= _MOST_HERTZ:
        return f"the tick rate is {_shown(graph.tick_rate)} Hz"
    if not 0 <= graph.first_tick <= _LAST_TICK:
        return f"the first tick is {_shown(graph.first_tick)}"
    if not -_LAST_NS <= graph.seed < 2 * _LAST_NS or not -_LAST_NS <= graph.epoch_ns < _LAST_NS:
        return "the seed or the time of tick 0 is no number of 64 bits"
    for lane in graph.lanes:
        if not _is_name(lane.node) or not _is_name(lane.topic) or len(lane.type) > _LONGEST_TEXT:
            return (
                f"the lane {_shown(lane.topic)} of {_shown(lane.node)} has no name of 1 to {_LONGEST_NAME} characters"
            )
    if len(graph.lanes) > 1 << 15:
        return f"it has {len(graph.lanes):,} lanes"
    return ""


def _absurd_node(node: NodeRecord, graph: GraphRecord) -> str:
    if not _is_name(node.name) or not (node.on == "" or _is_name(node.on)):
        return f"the node {_shown(node.name)} has no name of 1 to {_LONGEST_NAME} characters"
    if not 0 < node.rate <= graph.tick_rate * (1 + 1e-9):
        return f"the rate of {node.name!r} is {_shown(node.rate)} Hz, the graph's {graph.tick_rate:g}"
    if not (
        abs(node.order) < _LAST_NS and -1 <= node.core < 1 << 16 and abs(node.deadline) < 1e9 and abs(node.budget) < 1e9
    ):
        return f"order, core, deadline or budget of {node.name!r}"
    for topic in (*node.pubs, *node.subs):
        if not _is_name(topic.name) or len(topic.type) > _LONGEST_TEXT:
            return f"the topic {_shown(topic.name)} of {node.name!r} has no name of 1 to {_LONGEST_NAME} characters"
        if not 1 <= topic.capacity <= _MOST_CAPACITY:
            return f"the capacity of topic {topic.name!r} is {_shown(topic.capacity)}"
    return ""


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME


def _shown(value: object) -> str:
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
