"""What a replay sends, in the order in which it sends it: for whoever wants to see the values go by."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from horus_core.errors import InvalidValue, UndecodableMessage, closest
from horus_core.messages.encoding import Decoder
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import read_messages
from horus_core.recording.reading.reader import Session
from horus_core.replay.source import Override


class Sent(NamedTuple):
    """A message as a subscriber gets it; one that does not decode has its bytes for a value."""

    tick: int
    node: str
    topic: str
    value: Any


def playback(
    session: Session,
    topics: Sequence[str],
    start: int,
    stop: int,
    damage: list[Damage],
    overrides: Mapping[tuple[str, str], Any] | None = None,
) -> Iterator[Sent]:
    """The messages on `topics` that a replay of `session` sends, by tick, in constant memory.

    Args:
        session: what is replayed.
        topics: which; in a name, ``*`` and ``?`` stand for any letters.
        start, stop: the range of ticks, both included.
        damage: what cannot be read is noted there.
        overrides: as for :meth:`horus_core.scheduler.scheduler.Scheduler.set_replay_override`, by node and topic.

    Raises:
        InvalidValue: nobody sends on one of the topics.
    """
    known = sorted({lane.topic for lane in session.graph.lanes})
    topics = expanded(topics, known)
    for topic in topics:
        if topic not in known:
            raise InvalidValue("the topic", f"{topic!r}{closest(topic, known)}", f"one of {', '.join(known)}")
    senders = {lane.node for lane in session.graph.lanes if lane.topic in topics}
    streams = [
        _sent_by(session, node, topics, start, stop, damage, overrides or {})
        for node in session.senders
        if node in senders
    ]
    return heapq.merge(*streams, key=lambda sent: sent.tick)


def _sent_by(
    session: Session,
    node: str,
    topics: Sequence[str],
    start: int,
    stop: int,
    damage: list[Damage],
    overrides: Mapping[tuple[str, str], Any],
) -> Iterator[Sent]:
    replaced = {topic: Override(node, topic, None, value) for (name, topic), value in overrides.items() if name == node}
    decoders = {topic: Decoder(topic) for topic in topics}
    for block in read_messages(session, node, damage, topics, start, stop):
        for row in range(len(block)):
            topic = block.topics[block.topic[row]]
            encoding, payload = int(block.encoding[row]), block.payload(row)
            if topic in replaced:
                encoding, instead = replaced[topic](encoding, payload)
                payload = memoryview(bytes(instead))
            try:
                value = decoders[topic].decode(encoding, payload)
            except UndecodableMessage:
                value = bytes(payload)
            yield Sent(int(block.tick[row]), node, topic, value)
