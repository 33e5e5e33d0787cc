"""How fast ticks are released: period, pause, single steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """How fast ticks are released; may be changed while they are.

    Attributes:
        period_ns: time between two releases; 0: as fast as can be, only in lockstep.
        paused: release none but `steps`; only in lockstep.
        steps: ticks to release while paused.
    """

    period_ns: float = 0.0
    paused: bool = False
    steps: int = 0

    def holds(self) -> bool:
        """Whether the next tick must wait; counts a step."""
        if not self.paused:
            return False
        if self.steps:
            self.steps -= 1
            return False
        return True
