"""When a node runs: the exact rule that maps jobs to ticks.

Job ``j`` of a node with rate ``r`` in a graph with rate ``R`` belongs to tick ``ceil(j * R / r)``, the first tick at or
after ``j / r`` seconds. The ratio ``r / R`` is kept as a fraction in lowest terms, so the rule is exact for any rates and
depends on the tick alone: a replay finds the same ticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_ROUNDING = 10**12  # one over what a quotient may be off


def exact(rate: float) -> Fraction:
    """The fraction a person means by `rate` in Hz: ``exact(0.1) == Fraction(1, 10)``, not the nearest double."""
    from fractions import Fraction  # a node's process has no need of it

    return Fraction(repr(rate)) if isinstance(rate, float) else Fraction(rate)


def tick_count(duration: float, rate: float) -> int:
    """How many ticks a run of `duration` seconds releases at `rate` Hz: the k with ``k / rate < duration``.

    A duration written as ``ticks / rate`` means that many ticks, although the quotient was rounded.

    >>> tick_count(5.0, 100.0), tick_count(25 / 333, 333)
    (500, 25)
    """
    ticks = exact(duration) * exact(rate)
    near = round(ticks)
    return near if abs(ticks - near) * _ROUNDING < max(near, 1) else -(-ticks // 1)


class NodeSchedule:
    """The ticks of one node.

    Args:
        node_rate: the node's rate in Hz.
        graph_rate: the graph's rate in Hz, at least `node_rate`.

    >>> schedule = NodeSchedule(30.0, 100.0)
    >>> [k for k in range(12) if schedule.active(k)]
    [0, 4, 7, 10]
    """

    __slots__ = ("jobs", "ticks")

    def __init__(self, node_rate: float, graph_rate: float) -> None:
        ratio = exact(node_rate) / exact(graph_rate)
        self.jobs, self.ticks = ratio.numerator, ratio.denominator

    def last(self, tick: int) -> int:
        """The latest tick up to and including `tick` in which the node runs."""
        return -(-(tick * self.jobs // self.ticks) * self.ticks // self.jobs)

    def next(self, tick: int) -> int:
        """The first tick after `tick` in which the node runs."""
        return -(-(tick * self.jobs // self.ticks + 1) * self.ticks // self.jobs)

    def active(self, tick: int) -> bool:
        """Whether the node runs in `tick`."""
        return self.last(tick) == tick
