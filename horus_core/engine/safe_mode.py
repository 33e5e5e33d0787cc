"""Safe mode: every node's ``safe_state`` runs in the next tick, and those nodes do not tick after it."""

from __future__ import annotations

from collections.abc import Callable


class SafeMode:
    """Whether safe mode is to begin with the next tick, or has.

    Args:
        asked: called with the reason, the first time.

    Attributes:
        wanted: whether it was asked for.
    """

    def __init__(self, asked: Callable[[str], None]) -> None:
        self._asked = asked
        self.wanted = False

    def enter(self, reason: str) -> None:
        """Asks for it; once is enough."""
        if not self.wanted:
            self.wanted = True
            self._asked(reason)
