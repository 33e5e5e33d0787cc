"""Compares two sessions: what differs, in which tick it begins, and by how much.

``pairing``  which messages stand against each other, and which of these pairs hold other bytes: over whole blocks
``content``  what differs in those that do: over columns where messages have one layout, else decoded one by one
``timing``   in which ticks each node ran, and how long it took
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from horus_core.errors import InvalidValue, UnknownNode, closest
from horus_core.graph.spec import EXTERNAL
from horus_core.recording.compare.content import TopicContent
from horus_core.recording.compare.pairing import Pairs, differing, pair
from horus_core.recording.compare.result import (
    Comparison,
    FieldDifference,
    SettingDifference,
    TickComparison,
    TimingComparison,
    TopicComparison,
)
from horus_core.recording.compare.timing import compare_ticks
from horus_core.recording.compare.tolerance import Given, Tolerances
from horus_core.recording.format.header import GraphRecord, NodeRecord
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.counting import likely_losses
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.ticks import read_ticks
from horus_core.recording.reading.windows import windows

__all__ = [
    "Comparison",
    "FieldDifference",
    "SettingDifference",
    "TickComparison",
    "TimingComparison",
    "TopicComparison",
    "compare",
]


def compare(
    a: Session,
    b: Session,
    nodes: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    tolerance: Given = (0.0, 0.0),
    ignore: Sequence[str] = (),
    limit: int = 100,
    start_tick: int | None = None,
    stop_tick: int | None = None,
    tolerances: Mapping[str, Given] | None = None,
) -> Comparison:
    """Compares two sessions: nodes, ticks, message counts and content; timing beside that.

    Args:
        a, b: the sessions, see :func:`horus_core.recording.keeping.sessions.find_session`.
        nodes: only what these sent; by default all. In a name, ``*`` and ``?`` stand for any letters.
        topics: only messages on these; by default all. Patterns as for nodes.
        tolerance: what two numbers may differ by: an absolute one, or an absolute and a relative one. They are taken as
            equal up to ``max(absolute, relative * the larger magnitude)``. NaN equals NaN. Integers are compared as integers.
        ignore: fields that do not count, see :func:`horus_core.recording.compare.fields.field_filter`.
        limit: how many fields per topic are listed, those that differ first before others.
        start_tick, stop_tick: only ticks from and up to these.
        tolerances: of single fields, by ``TOPIC.FIELD``, see :class:`horus_core.recording.compare.tolerance.Tolerances`.

    Raises:
        UnknownNode: neither session knows one of `nodes`.
        InvalidValue: neither session knows one of `topics`, or a tolerance is negative.

    >>> compare(before, after, topics=["ctrl.cmd"], tolerance=1e-9).equal  # doctest: +SKIP
    True
    """
    wanted = _Wanted(a, b, nodes, topics)
    topics = wanted.chosen
    allowed = Tolerances(tolerance, tolerances)
    damage_a, damage_b = list(a.damage), list(b.damage)
    ticks = compare_ticks(
        read_ticks(a, damage_a, start_tick, stop_tick),
        read_ticks(b, damage_b, start_tick, stop_tick),
        wanted.node,
        lambda node: (_replayed(a, node), _replayed(b, node)),
    )
    contents: list[TopicContent] = []
    for node in wanted.nodes:
        names: list[str] = []
        streams = [
            read_messages(session, node, damage, topics, start_tick, stop_tick, names)
            for session, damage in ((a, damage_a), (b, damage_b))
        ]
        contents += _compare_node(node, names, wanted.topics(node), streams, allowed, ignore)
    topics_found = [content.result(limit) for content in contents if wanted.lane(content.node, content.topic)]
    return _result(a, b, wanted, ticks, topics_found, damage_a, damage_b)


class _Wanted:
    """What is to be compared."""

    def __init__(self, a: Session, b: Session, nodes: Sequence[str] | None, topics: Sequence[str] | None) -> None:
        known = list(dict.fromkeys([*a.senders, *b.senders]))
        lanes = dict.fromkeys((lane.node, lane.topic) for lane in [*a.graph.lanes, *b.graph.lanes])
        nodes = None if nodes is None else expanded(nodes, known)
        for node in nodes or ():
            if node not in known:
                raise UnknownNode(f"neither {a.name!r} nor {b.name!r}", node, known)
        names = sorted({topic for _, topic in lanes})
        self.chosen = topics = None if topics is None else expanded(topics, names)
        for topic in topics or ():
            if topic not in names:
                raise InvalidValue("the topic", f"{topic!r}{closest(topic, names)}", f"one of {', '.join(names)}")
        self._lanes = [lane for lane in lanes if topics is None or lane[1] in topics]
        self._apart = {*a.left_out, *b.left_out}
        senders = {node for node, _ in self._lanes}
        self.nodes = [
            node for node in known if (nodes is None or node in nodes) and (topics is None or node in senders)
        ]

    def node(self, name: str) -> bool:
        return name in self.nodes

    def lane(self, node: str, topic: str) -> bool:
        """Whether both sessions recorded it."""
        return (node, topic) not in self._apart

    @property
    def not_compared(self) -> list[str]:
        return sorted({topic for node, topic in self._lanes if node in self.nodes and not self.lane(node, topic)})

    def topics(self, node: str) -> list[str]:
        return [topic for sender, topic in self._lanes if sender == node]


def _compare_node(
    node: str,
    names: list[str],
    topics: list[str],
    streams: Sequence[Iterator[Messages]],
    tolerances: Tolerances,
    ignore: Sequence[str],
) -> list[TopicContent]:
    contents = {topic: TopicContent(topic, node, tolerances, ignore) for topic in topics}
    for window in windows(streams):
        a, b = (block if block is not None else Messages.none(names) for block in window)
        pairs = pair(a, b)
        unequal = differing(a, b, pairs)
        counts = [np.bincount(side.topic, minlength=len(names)).tolist() for side in (a, b)]
        for place, topic in enumerate(names):
            if counts[0][place] or counts[1][place]:
                content = contents.setdefault(topic, TopicContent(topic, node, tolerances, ignore))
                content.count(counts[0][place], counts[1][place])
        rows = Pairs(pairs.a[unequal], pairs.b[unequal], pairs.only_a, pairs.only_b)
        for place in np.unique(np.concatenate([a.topic[rows.a], a.topic[rows.only_a], b.topic[rows.only_b]])).tolist():
            on_topic = a.topic[rows.a] == place
            mine = Pairs(
                rows.a[on_topic],
                rows.b[on_topic],
                rows.only_a[a.topic[rows.only_a] == place],
                rows.only_b[b.topic[rows.only_b] == place],
            )
            contents[names[place]].add(a, b, mine)
    return list(contents.values())


def _result(
    a: Session,
    b: Session,
    wanted: _Wanted,
    ticks: list[tuple[TickComparison, TimingComparison]],
    topics: list[TopicComparison],
    damage_a: list[Damage],
    damage_b: list[Damage],
) -> Comparison:
    nodes_a, nodes_b = (
        [name for name in session.nodes if wanted.node(name) and name != EXTERNAL] for session in (a, b)
    )
    only_a = [name for name in nodes_a if name not in nodes_b]
    only_b = [name for name in nodes_b if name not in nodes_a]
    topics = [each for each in topics if each.messages_a or each.messages_b or each.node in {*nodes_a, *nodes_b}]
    compared = [name for name in nodes_a if not (_replayed(a, name) or _replayed(b, name))]
    in_both = [each for each, _ in ticks if each.node in nodes_a and each.node in nodes_b]
    firsts = [
        tick
        for tick in [each.first_tick for each in in_both] + [each.first_tick for each in topics]
        if tick is not None
    ]
    alike = all(not (each.only_a or each.only_b) for each in in_both) and all(topic.equal for topic in topics)
    return Comparison(
        a=a.name,
        b=b.name,
        equal=alike and not only_a and not only_b,
        first_tick=min(firsts, default=None),
        nodes_only_a=only_a,
        nodes_only_b=only_b,
        ticks=in_both,
        topics=topics,
        timing=[each for _, each in ticks if each.node in nodes_a and each.node in nodes_b],
        settings=list(_settings(a.graph, b.graph, compared.__contains__)),
        not_compared=wanted.not_compared,
        damage_a=[str(each) for each in damage_a],
        damage_b=[str(each) for each in damage_b],
        lost_a=[loss for loss in likely_losses(a, damage_a) if wanted.node(loss.node)],
        lost_b=[loss for loss in likely_losses(b, damage_b) if wanted.node(loss.node)],
    )


def _replayed(session: Session, node: str) -> bool:
    found = session.nodes.get(node)
    return found is not None and found.replayed


def _settings(a: GraphRecord, b: GraphRecord, counts: Callable[[str], bool]) -> Iterator[SettingDifference]:
    for setting in ("tick_rate", "deterministic", "seed"):
        if getattr(a, setting) != getattr(b, setting):
            yield SettingDifference("", setting, getattr(a, setting), getattr(b, setting))
    nodes_b = {node.name: node for node in b.nodes}
    for one in a.nodes:
        other = nodes_b.get(one.name)
        if other is not None and counts(one.name):
            for setting in NodeRecord.__struct_fields__:
                if getattr(one, setting) != getattr(other, setting) and setting != "replayed":
                    yield SettingDifference(one.name, setting, getattr(one, setting), getattr(other, setting))
