"""What a comparison found, as data that JSON can hold."""

from __future__ import annotations

from typing import Any

import msgspec

from horus_core.recording.reading.loss import NodeLoss


class FieldDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a topic that differs.

    Attributes:
        field: its name: keys joined with dots, ``[]`` for the items of a list on the way; "value" for the whole message.
        where: the same with the place in the list, in the first tick that differs: ``objects[3].x``.
        first_tick: the first tick in which it differs.
        what: "value", "type", "length", "shape", "only in a", "only in b" or "undecodable".
        a, b: both values in that tick; bytes as ``hex:...``, numbers that JSON has not as text.
        ticks: in how many ticks it differs.
        largest: the largest difference of two numbers; None where no numbers differ.
        largest_tick: the tick of that.
    """

    field: str
    where: str
    first_tick: int
    what: str
    a: Any
    b: Any
    ticks: int
    largest: float | None = None
    largest_tick: int | None = None


class TopicComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one node on one topic.

    Attributes:
        messages_a, messages_b: how many there are.
        only_a, only_b: how many have no counterpart: the other session has fewer messages in that tick.
        differing: how many pairs of messages differ in content.
        first_tick: the first tick with any difference; None without one.
        ticks: how many ticks have any difference.
        fields: the fields that differ, in the order of their first tick.
        more_fields: how many further fields differ, beyond the limit.
    """

    topic: str
    node: str
    messages_a: int
    messages_b: int
    only_a: int
    only_b: int
    differing: int
    first_tick: int | None
    ticks: int
    fields: list[FieldDifference]
    more_fields: int = 0

    @property
    def equal(self) -> bool:
        """Whether there is no difference in content or count."""
        return not (self.only_a or self.only_b or self.differing)


class TickComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The ticks of one node: how many it ran in, in both sessions and in one only; the first of the latter.

    Ticks that only a session has in which the node was replayed do not count: it had nothing to do in them.
    """

    node: str
    both: int
    only_a: int
    only_b: int
    first_tick: int | None


class TimingComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How long a node took, in the ticks that both sessions have; in ns. Never a difference in content.

    Attributes:
        p50, p99, largest: of both sessions.
        status_differs: in how many ticks one was late or failed and the other was not.
        first_status_tick: the first of these.
    """

    node: str
    p50: tuple[int, int]
    p99: tuple[int, int]
    largest: tuple[int, int]
    status_differs: int
    first_status_tick: int | None


class SettingDifference(msgspec.Struct, frozen=True):
    """A setting of the graph or of a node ('' for the graph) that is not the same. Never a difference in content.

    Those of nodes that were replayed in either session are not compared: a replay knows less of them.
    """

    node: str
    setting: str
    a: Any
    b: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two sessions have in common and what not.

    Attributes:
        a, b: their names.
        equal: no difference in nodes, ticks, counts or content. What could not be read is not part of that: see damage.
        first_tick: the first tick with any such difference; None without one, or where only nodes are missing.
        nodes_only_a, nodes_only_b: nodes that the other session has not.
        ticks: per node that both have.
        topics: per node and topic.
        timing: per node that both have.
        settings: what else is not the same in the two graphs.
        not_compared: topics that were left out of one of the recordings on purpose.
        damage_a, damage_b: what could not be read.
        lost_a, lost_b: messages that are missing, by node.
    """

    a: str
    b: str
    equal: bool
    first_tick: int | None
    nodes_only_a: list[str]
    nodes_only_b: list[str]
    ticks: list[TickComparison]
    topics: list[TopicComparison]
    timing: list[TimingComparison]
    settings: list[SettingDifference]
    not_compared: list[str]
    damage_a: list[str]
    damage_b: list[str]
    lost_a: list[NodeLoss]
    lost_b: list[NodeLoss]
