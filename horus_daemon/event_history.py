"""The latest events of a graph, over its starts: what is frequent does not push out what matters."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count

from horus_daemon.daemon_to_client import PastEvent

KEPT, FREQUENT_KEPT = 200, 50
_FREQUENT = ("miss", "slip")


class Recent:
    """Keeps the last events, and of misses and slips, which a busy machine makes all the time, the last few.

    >>> recent = Recent()
    >>> for tick in range(1000):
    ...     recent.append(PastEvent(0, tick, "arm", "crash" if tick == 5 else "miss"))
    >>> [(event.event, event.tick) for event in recent.all()][:2], len(recent.all())
    ([('crash', 5), ('miss', 950)], 51)
    """

    def __init__(self) -> None:
        self._number = count()
        self._events: deque[tuple[int, PastEvent]] = deque(maxlen=KEPT)
        self._frequent: deque[tuple[int, PastEvent]] = deque(maxlen=FREQUENT_KEPT)

    def append(self, event: PastEvent) -> None:
        """Adds one, the latest."""
        (self._frequent if event.event in _FREQUENT else self._events).append((next(self._number), event))

    def all(self) -> list[PastEvent]:
        """What is kept, oldest first."""
        return [event for _, event in heapq.merge(self._events, self._frequent, key=lambda each: each[0])]

    def clear(self) -> None:
        """Forgets all."""
        self._events.clear()
        self._frequent.clear()
