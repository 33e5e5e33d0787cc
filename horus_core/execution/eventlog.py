"""Events of a graph as lines of a log, for the logger ``horus.events`` at level INFO.

The daemon puts them into the graph's log; a script sees them with ``logging.basicConfig(level=logging.INFO)``. A line says
what happened, to which node, in which tick, and the detail without tracebacks, which the log has anyway. Of a node that
misses its deadlines there is one line in ten seconds, which says how many there were.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

MISS_SECONDS = 10.0

log = logging.getLogger("horus.events")


def words(event: str, node: str, tick: int, detail: Mapping[str, Any]) -> str:
    """An event in one line.

    >>> words("crash", "arm", 7, {"reason": "was killed by SIGKILL"})
    'event: crash arm (tick 7, reason was killed by SIGKILL)'
    """
    facts = [f"{name} {_short(value)}" for name, value in detail.items() if name != "traceback"]
    return f"event: {event}{' ' if node else ''}{node} ({', '.join([f'tick {tick}', *facts])})"


def _short(value: Any) -> str:
    text = (
        f"{value:g}"
        if isinstance(value, float)
        else " ".join(map(str, value))
        if isinstance(value, list)
        else str(value)
    )
    return " ".join(text.split())


class EventLog:
    """Writes down the events of one graph.

    Args:
        clock: a monotonic one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missed: dict[str, tuple[float, int]] = {}  # per node: when a line said so, and how many since then

    def __call__(self, event: str, node: str, tick: int, detail: Mapping[str, Any]) -> None:
        """Writes an event down."""
        if not log.isEnabledFor(logging.INFO):
            return
        if event == "miss":
            now, (told, more) = self._clock(), self._missed.get(node, (float("-inf"), 0))
            if now - told < MISS_SECONDS:
                self._missed[node] = (told, more + 1)
                return
            self._missed[node] = (now, 0)
            detail = {**detail, "misses since the last line": more} if more else detail
        log.info("%s", words(event, node, tick, detail))
