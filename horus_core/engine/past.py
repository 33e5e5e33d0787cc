"""What a node did when it was recorded, and does again: in which ticks it ran, and when it was started again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Return(NamedTuple):
    """A restart: the tick that its ``init`` belongs to, and the one from which the node took part again (FREE: it did not)."""

    started: int
    back: int


@dataclass(frozen=True)
class Past:
    """What a node did.

    Args:
        starts, stops: the jobs that it ran, as ranges: from each start up to before its stop.
        jobs, ticks: its jobs per ticks; 1, 1 for a node that runs on a topic.
        visibles: per tick, from when what it sent was visible, where that was not as usual (it was late).
        statuses: per tick, how it went, where that was not well.
        returns: its restarts, the first one first.
        loop: the first and the last tick of a replay that starts over; None for one that does not.
    """

    starts: Sequence[int]
    stops: Sequence[int]
    jobs: int = 1
    ticks: int = 1
    visibles: Mapping[int, int] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    returns: tuple[Return, ...] = ()
    loop: tuple[int, int] | None = None

    def ran(self, tick: int) -> bool:
        """Whether it ran in `tick`.

        >>> past = Past([0, 10], [5, 12])
        >>> [tick for tick in range(15) if past.ran(tick)]
        [0, 1, 2, 3, 4, 10, 11]
        """
        job = (tick - self._shift(tick)) * self.jobs // self.ticks
        found = bisect_right(self.starts, job) - 1
        return found >= 0 and job < self.stops[found]

    def visible(self, tick: int, usual: int) -> int:
        """From when what it sent in `tick` was visible."""
        shift = self._shift(tick)
        return self.visibles.get(tick - shift, usual - shift) + shift

    def status(self, tick: int, usual: int) -> int:
        """How its job of `tick` went."""
        return self.statuses.get(tick - self._shift(tick), usual)

    def returns_after(self, tick: int) -> tuple[Return, ...]:
        """The restarts whose ``init`` belongs to a tick after `tick`."""
        return tuple(each for each in self.returns if each.started > tick)

    def return_after(self, tick: int) -> Return | None:
        """The restart that followed its job of `tick`, before any other job; None if there was none."""
        found = next((each for each in self.returns if each.started > tick), None)
        return None if found is None or self._ran_between(tick, found.started) else found

    def _ran_between(self, before: int, after: int) -> bool:
        """Whether it had a job after tick `before` and before tick `after`."""
        first, last = before * self.jobs // self.ticks + 1, (after - 1) * self.jobs // self.ticks
        found = bisect_right(self.starts, last) - 1
        return first <= last and found >= 0 and self.stops[found] > first

    def _shift(self, tick: int) -> int:
        if self.loop is None or tick <= self.loop[1]:
            return 0
        first, last = self.loop
        length = last - first + 1
        return (tick - first) // length * length
