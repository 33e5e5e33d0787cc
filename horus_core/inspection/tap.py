"""The messages that go by on a topic of a running graph, and how they flow; the graph does not notice (see ``observer``)."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from typing import Any

import msgspec

from horus_core.errors import InvalidValue, closest
from horus_core.graph.spec import EXTERNAL
from horus_core.inspection.running_graphs import RunningGraph
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import FREE, H_EPOCH, H_EPOCH_MONOTONIC, fence
from horus_core.memory.lane import LaneReader
from horus_core.memory.segment import E_LENGTH, E_TICK, E_TIME
from horus_core.messages.encoding import Decoder

ALL_TICKS = 1 << 61


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
    """The messages of one topic of a running graph, from now on; the last one first where the topic is latched.

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
            reader.open(ALL_TICKS)
            reader.cursor = reader.end
            if graph.lanes[lane].latch and reader.end:
                reader.cursor -= 1
            self._taps.append(_Lane(reader, graph.nodes[position].name if position >= 0 else EXTERNAL))
        held = [each for each in self._taps if each.reader.end]
        if latest and held and all(each.reader.cursor == each.reader.end for each in held):
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
            each.reader.open(ALL_TICKS)
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
            reader.open(ALL_TICKS)
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
