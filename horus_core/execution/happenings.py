"""What happens to ticks and nodes, written down: safe mode, returns, slips, misses."""

from __future__ import annotations

from horus_core.execution.events import Events
from horus_core.execution.misses import Misses


class Happenings:
    """Makes events of what the coordinator tells, see :class:`horus_core.engine.watch.Happenings`."""

    def __init__(self, events: Events, misses: Misses) -> None:
        self._events = events
        self.missed = misses.missed
        self.slipped = events.slipped

    def safe_mode_began(self, tick: int) -> None:
        """Safe mode begins with `tick`."""
        self._events.emit("safe mode began", tick=tick)

    def came_back(self, position: int, tick: int) -> None:
        """`position`, which was restarted, takes part again from `tick` on."""
        self._events.emit("back", position, tick)
