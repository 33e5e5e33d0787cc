"""The phases of a run, from before its start to its end, and which follows which."""

from __future__ import annotations

from enum import IntEnum

from horus_core.memory import control


class Phase(IntEnum):
    """Where a run is; but for NEW, what its control segment says."""

    NEW = -1  # it has no control words yet
    STARTING = control.STARTING  # nodes start; no tick was released
    RUNNING = control.RUNNING
    STOPPING = control.STOPPING  # nodes are to end
    ENDED = control.ENDED  # all have; what is left is the recording's end

    def to(self, following: Phase) -> Phase:
        """`following`, if that may come after this one.

        >>> Phase.RUNNING.to(Phase.STOPPING).name
        'STOPPING'
        """
        if following not in FOLLOWING[self]:
            raise RuntimeError(f"a run that is {self.name} cannot become {following.name}")
        return following


FOLLOWING: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.STOPPING}),
    Phase.RUNNING: frozenset({Phase.STOPPING}),
    Phase.STOPPING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}
