"""Decides who is hit and how, in an order that follows from the seed alone, and does it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass

from benchmarks.soak.graph import IGNORED_MOST, POLICIES, WATCHDOG
from benchmarks.soak.watched import RECORDER, SUPERVISOR, Watched

KILL, SEGV, PAUSE, HANG = "SIGKILL", "SIGSEGV", "SIGSTOP for a while", "SIGSTOP for good"


@dataclass(frozen=True)
class Hit:
    """One that was given.

    Attributes:
        who: a node, the supervisor or the recorder.
        how: see above.
        pid: the process that was hit.
    """

    who: str
    how: str
    pid: int

    @property
    def deadly(self) -> bool:
        """Whether the process ends of it: a node that is stopped for good is killed by its watchdog."""
        return self.how != PAUSE


class Harm:
    """Draws and gives.

    Args:
        seed: of whom, how and when.
        ending: the chance that a hit is for the supervisor or the fatal node, of which the graph ends.
    """

    def __init__(self, seed: int, ending: float) -> None:
        self._choice, self._time, self._ending = random.Random(seed), random.Random(seed + 1), ending

    def burst(self, graph: Watched, dead: set[str], ignored: int, most: int) -> list[Hit]:
        """One to three hits, shortly one after the other.

        Args:
            graph: whose processes.
            dead: nodes that stay out.
            ignored: how often the node that is ignored has been killed.
            most: no more than so many.
        """
        hits: list[Hit] = []
        for _ in range(min(most, self._choice.choice([1, 1, 1, 2, 3]))):
            who, how = self._draw()
            lasting = [hit for hit in hits if hit.who == "right" and hit.deadly]
            if who in dead or (who == "right" and ignored + len(lasting) >= IGNORED_MOST):
                who = "source"
            if who == "control" and any(hit.who == who and hit.deadly for hit in hits):
                who = RECORDER
            if how == PAUSE and any(hit.who == who and hit.how == HANG for hit in hits):
                how = KILL  # else it would go on after the pause, and its watchdog would have nothing to do
            hit = self._give(graph, who, how)
            if hit is not None:
                hits.append(hit)
            time.sleep(self._time.uniform(0.0, 0.05))
        return hits

    def _draw(self) -> tuple[str, str]:
        choice = self._choice
        others = [name for name, policy in POLICIES.items() if policy not in ("fatal", "skip")]
        if choice.random() < self._ending:
            who = choice.choice([SUPERVISOR, "drive"])
            return who, choice.choice([KILL, SEGV] if who == SUPERVISOR else [KILL, SEGV, HANG])
        who = choice.choice([*others * 2, RECORDER, RECORDER, "control", SUPERVISOR, "drive"])
        if who in (SUPERVISOR, "drive"):
            return who, PAUSE  # what would end it is drawn above
        ways = [KILL, KILL, SEGV, PAUSE, PAUSE]
        return who, choice.choice(ways if who == RECORDER else [*ways, HANG])

    def _give(self, graph: Watched, who: str, how: str) -> Hit | None:
        pid = graph.pid(who) if graph.process.poll() is None else 0
        if not pid:
            return None
        with contextlib.suppress(ProcessLookupError):
            if how in (KILL, SEGV):
                os.kill(pid, signal.SIGKILL if how == KILL else signal.SIGSEGV)
            else:
                os.kill(pid, signal.SIGSTOP)
            if how == PAUSE:
                time.sleep(self._time.uniform(0.01, WATCHDOG / 4))
                os.kill(pid, signal.SIGCONT)
            return Hit(who, how, pid)
        return None
