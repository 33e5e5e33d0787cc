"""Which messages a recording should hold and does not.

Every lane numbers its messages, so one that is missing between others shows. Behind the last one other files tell: what other
nodes could receive, and the recorder's event "sent", which says at the end how many messages there were. Where neither does,
a loss is not counted, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from horus_core.recording.reading.file import Damage

_MOST_HOLES = 100  # per lane; more are counted but not listed


class Hole(msgspec.Struct, frozen=True):
    """Messages that are missing.

    Attributes:
        topic, node: the lane.
        first, stop: the sequence numbers from `first` up to, not including, `stop` are missing.
        after_tick: they were sent in this tick or later; -1: from the start.
        before_tick: they were sent in this tick or earlier; -1: up to the end.
    """

    topic: str
    node: str
    first: int
    stop: int
    after_tick: int
    before_tick: int

    @property
    def messages(self) -> int:
        """How many are missing."""
        return self.stop - self.first


class LaneCount:
    """Counts the messages of one lane and notes what is missing between them.

    Args:
        topic, node: the lane.
        from_start: whether the recording should begin with the lane's first message.

    Attributes:
        messages, size: what is there, in messages and in bytes.
        lost: how many are missing.
        holes: where; the first 100.
    """

    def __init__(self, topic: str, node: str, from_start: bool) -> None:
        self.topic, self.node = topic, node
        self.messages = self.size = self.lost = 0
        self._from_start, self._first = from_start, -1
        self.holes: list[Hole] = []
        self._next: int | None = 0 if from_start else None
        self._tick = -1

    @property
    def began(self) -> bool:
        """Whether the recording has the lane's first message, or tells that it is missing."""
        return self._from_start

    def spans(self, damage: Damage) -> bool:
        """Whether there are messages before and behind that place, so that their sequence numbers tell what it cost."""
        begins = self._from_start or 0 <= self._first <= damage.first
        placed = damage.first >= 0 or damage.last >= 0
        return placed and begins and (self._tick >= damage.last if damage.last >= 0 else self._tick > damage.first)

    def add(self, sequences: np.ndarray, ticks: np.ndarray, size: int) -> None:
        """Counts messages in the order in which they were sent, `size` bytes in all."""
        if not len(sequences):
            return
        if not self.messages:
            self._first = int(ticks[0])
        self.messages += len(sequences)
        self.size += size
        expected = np.empty(len(sequences), dtype=np.int64)
        expected[0] = sequences[0] if self._next is None else self._next
        expected[1:] = sequences[:-1] + 1
        for place in np.flatnonzero(sequences > expected):
            before = int(ticks[place - 1]) if place else self._tick
            self._miss(int(expected[place]), int(sequences[place]), before, int(ticks[place]))
        self._next, self._tick = int(sequences[-1]) + 1, int(ticks[-1])

    def end(self, known: int) -> None:
        """Ends the count, where other files tell of messages up to, not including, the sequence `known`."""
        if known > (self._next or 0) and (self._next is not None or self.messages):
            self._miss(self._next or 0, known, self._tick, -1)

    def _miss(self, first: int, stop: int, after: int, before: int) -> None:
        self.lost += stop - first
        if len(self.holes) < _MOST_HOLES:
            self.holes.append(Hole(self.topic, self.node, first, stop, after, before))


class NodeLoss(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing of the messages of one node.

    Attributes:
        node: who sent them.
        messages: how many are known to be missing.
        counted: whether that is all; if not, nothing that is left says how many more there may be.
        after_tick: they were sent in this tick or later; -1: from the start.
        before_tick: they were sent in this tick or earlier; -1: up to the end.
    """

    node: str
    messages: int
    counted: bool
    after_tick: int
    before_tick: int

    def __str__(self) -> str:
        where = ticks_between(self.after_tick, self.before_tick)
        if self.counted or self.messages:
            least = "" if self.counted else "at least "
            return f"{self.node} lost {least}{self.messages:,} message{'s' * (self.messages != 1)} {where}"
        return f"{self.node} may have lost messages {where}; nothing counts them"


def ticks_between(after: int, before: int) -> str:
    """Two ticks, of which -1 is the start or the end, in words.

    >>> ticks_between(-1, -1), ticks_between(143, -1), ticks_between(3, 7)
    ('in all', 'after tick 143', 'between ticks 3 and 7')
    """
    if after < 0:
        return f"before tick {before}" if before >= 0 else "in all"
    return f"after tick {after}" if before < 0 else f"between ticks {after} and {before}"


def loss_of(
    node: str, lanes: Sequence[LaneCount], damage: Sequence[Damage], counted: bool, ran_to: int | None
) -> NodeLoss | None:
    """What is missing of a node's messages, None if nothing is.

    Args:
        node: its name.
        lanes: its messages, all of them counted.
        damage: of its files.
        counted: whether its event "sent" is there.
        ran_to: the last tick in which it ran, -1 for none; None where the scheduler's file does not tell.
    """
    if not lanes:  # it had nothing to send on
        return None
    places = [each for each in damage if each.rows]
    holes = [hole for lane in lanes for hole in lane.holes]
    lost = sum(lane.lost for lane in lanes)
    if not (counted and all(lane.began for lane in lanes)):
        lost += sum(max(0, _rows_of(each) - _counted_in(each, holes)) for each in places)
    unsure = [each for each in places if each.rows < 0 and not _is_counted(each, lanes, counted, ran_to)]
    if not lost and not unsure:
        return None
    after = [hole.after_tick for hole in holes] + [each.first for each in places]
    before = [hole.before_tick for hole in holes] + [each.last for each in places]
    return NodeLoss(
        node=node,
        messages=lost,
        counted=not unsure,
        after_tick=min(after, default=-1),
        before_tick=-1 if min(before, default=-1) < 0 else max(before),
    )


def _rows_of(damage: Damage) -> int:
    return damage.rows if damage.rows >= 0 else damage.at_least


def _counted_in(damage: Damage, holes: Sequence[Hole]) -> int:
    """How many messages that the lanes miss may be those of this place."""
    return sum(
        hole.messages
        for hole in holes
        if (damage.last < 0 or hole.after_tick <= damage.last)
        and (hole.before_tick < 0 or hole.before_tick >= damage.first)
    )


def _is_counted(damage: Damage, lanes: Sequence[LaneCount], counted: bool, ran_to: int | None) -> bool:
    """Whether the lanes miss all that this place has cost."""
    if counted and all(lane.began or lane.spans(damage) for lane in lanes):
        return True
    if ran_to is not None and ran_to <= damage.first and damage.last < 0:
        return True  # it is behind all that the node did
    return all(lane.spans(damage) for lane in lanes)
