"""What a soak found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What a soak found.

    Attributes:
        kills: how many of each kind were given.
        hit: how often each process was.
        graphs: how many graphs that took.
        ticks: how many they released.
        messages: how many were recorded.
        problems: what was not as it must be: an end state, a recording, a process or a name that is left.
        descriptors: the most open files that a supervisor had gained, beyond one for each lane, when all its nodes were back.
        memory_mb: the most private memory that a supervisor had gained, from its first nodes' return to its last.
    """

    kills: dict[str, int] = field(default_factory=dict)
    hit: dict[str, int] = field(default_factory=dict)
    graphs: int = 0
    ticks: int = 0
    messages: int = 0
    problems: list[str] = field(default_factory=list)
    descriptors: int = 0
    memory_mb: float = 0.0

    def given(self, how: str, who: str) -> None:
        """Counts a kill."""
        self.kills[how] = self.kills.get(how, 0) + 1
        self.hit[who] = self.hit.get(who, 0) + 1
