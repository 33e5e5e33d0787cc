"""The latest events of a graph, over its starts: what is frequent does not push out what matters."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count

from horus_daemon.daemon_to_client import PastEvent

KEPT, MISSES_KEPT = 200, 50
_MISS = "miss"


class Recent:
    """Keeps the last events, and of misses, which may come in every tick, the last few.

    >>> recent = Recent()
    >>> for tick in range(1000):
    ...     recent.append(PastEvent(0, tick, "arm", "crash" if tick == 5 else "miss"))
    >>> [(event.event, event.tick) for event in recent.all()][:2], len(recent.all())
    ([('crash', 5), ('miss', 950)], 51)
    """

    def __init__(self) -> None:
        self._number = count()
        self._events: deque[tuple[int, PastEvent]] = deque(maxlen=KEPT)
        self._misses: deque[tuple[int, PastEvent]] = deque(maxlen=MISSES_KEPT)

    def append(self, event: PastEvent) -> None:
        """Adds one, the latest."""
        (self._misses if event.event == _MISS else self._events).append((next(self._number), event))

    def all(self) -> list[PastEvent]:
        """What is kept, oldest first."""
        return [event for _, event in heapq.merge(self._events, self._misses, key=lambda each: each[0])]

    def clear(self) -> None:
        """Forgets all."""
        self._events.clear()
        self._misses.clear()
