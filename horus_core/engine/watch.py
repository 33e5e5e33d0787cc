"""What the coordinator asks of whoever looks after the processes, and what it tells of a run."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Looks after the processes between two ticks."""

    def housekeep(self, seconds: float) -> None:
        """Looks after processes and their output for up to `seconds`; returns early if anything happened."""

    def settle(self) -> None:
        """Returns when no node is being restarted; only in lockstep."""

    @property
    def stopping(self) -> bool:
        """Whether the graph is to end."""


class Happenings(Protocol):
    """Is told what happens to ticks and nodes."""

    def safe_mode_began(self, tick: int) -> None:
        """Safe mode begins with `tick`."""

    def came_back(self, position: int, tick: int) -> None:
        """`position`, which was restarted, takes part again from `tick` on."""

    def slipped(self, tick: int, behind_ns: int) -> None:
        """`tick` is released that much too late, and what follows with it."""

    def missed(self, position: int, tick: int) -> None:
        """`position` did not finish `tick` by its deadline."""
