"""How a graph runs: what all its nodes have in common, settled before the first tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from horus_core.engine.past import Past


@dataclass(frozen=True)
class RunOptions:
    """How a graph runs; the same for all its nodes.

    Attributes:
        first_tick: the first tick that is released.
        lockstep: the graph waits for everybody; nobody is late.
        epoch_ns: when tick 0 was or would have been released.
        block: a full lane waits for the recorder.
        range_start: the first tick that is shown and recorded; None for the first of all. Those before are only lived through.
        pasts: per node, what it did when it was recorded, and does again.
        backs: per node, the ticks from which it took part again after a restart when it was recorded.
    """

    first_tick: int
    lockstep: bool
    seed: int
    epoch_ns: int
    block: bool = False
    recorded: bool = False
    deterministic: bool = False
    range_start: int | None = None
    pasts: Mapping[str, Past] = field(default_factory=dict)
    backs: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """The first tick that is shown and recorded."""
        return self.first_tick if self.range_start is None else self.range_start
