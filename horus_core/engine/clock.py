"""Time as a node sees it: functions of the tick, constant within it, the same in a replay.

``now() = epoch + tick / tick_rate``, ``dt() = 1 / rate``, and a generator seeded from graph seed, node and tick. Outside a
node's callbacks they fall back to the machine's clock.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

us = 1e-6
ms = 1e-3


class TickClock:
    """The clock of one node.

    Args:
        node: the node's name.
        dt: its period in seconds.
        tick_rate: the graph's rate in Hz.
        epoch_ns: when tick 0 was released, ns since 1970.
        seed: the graph's seed.
        budget: seconds, or None.
        virtual: time does not pass within a tick.
        restarted: tells whether a publisher of a topic was restarted since the node's last tick.
    """

    __slots__ = (
        "_random",
        "budget",
        "dt",
        "epoch_ns",
        "node",
        "restarted",
        "seed",
        "started_ns",
        "tick",
        "tick_rate",
        "virtual",
    )

    def __init__(
        self,
        node: str,
        dt: float,
        tick_rate: float,
        epoch_ns: int,
        seed: int,
        budget: float | None = None,
        virtual: bool = False,
        restarted: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self.node, self.dt, self.tick_rate, self.epoch_ns, self.seed = node, dt, tick_rate, epoch_ns, seed
        self.budget, self.virtual = budget, virtual
        self.tick = 0
        self.started_ns = 0
        self.restarted = restarted
        self._random: tuple[int, random.Random] = (-1, random.Random(0))

    def timestamp_ns(self) -> int:
        """When the tick is released, ns since 1970."""
        return self.epoch_ns + round(self.tick * 1e9 / self.tick_rate)

    def rng_float(self) -> float:
        """The next number of this tick's generator."""
        tick, generator = self._random
        if tick != self.tick:
            generator = random.Random(f"{self.seed}/{self.node}/{self.tick}")
            self._random = (self.tick, generator)
        return generator.random()

    def budget_remaining(self) -> float:
        """Seconds left of the budget."""
        if self.budget is None:
            return math.inf
        if self.virtual:
            return self.budget
        return self.budget - (time.monotonic_ns() - self.started_ns) * 1e-9


_current: TickClock | None = None
_imported_ns = time.monotonic_ns()


def enter(clock: TickClock | None) -> None:
    """Makes `clock` the one that the functions below read."""
    global _current
    _current = clock


def now() -> float:
    """The graph's time in seconds since 1970: when this tick is released."""
    return time.time() if _current is None else _current.timestamp_ns() * 1e-9


def timestamp_ns() -> int:
    """The graph's time in nanoseconds since 1970: when this tick is released."""
    return time.time_ns() if _current is None else _current.timestamp_ns()


def dt() -> float:
    """Seconds between two ticks of this node: 1 / rate. 0.0 outside a node."""
    return 0.0 if _current is None else _current.dt


def tick() -> int:
    """The number of this tick, from 0. 0 outside a node."""
    return 0 if _current is None else _current.tick


def elapsed() -> float:
    """Seconds from tick 0 to this tick; outside a node, since horus was imported."""
    if _current is None:
        return (time.monotonic_ns() - _imported_ns) * 1e-9
    return _current.tick / _current.tick_rate


def rng_float() -> float:
    """A random number in [0, 1), the same in every run with the same seed, node and tick."""
    return random.random() if _current is None else _current.rng_float()


def restarted(topic: str) -> bool:
    """Whether a node that publishes `topic` was started again since this node's last tick. False outside a node.

    Raises:
        UnknownTopic: this node does not subscribe to `topic`.
    """
    return _current is not None and _current.restarted(topic)


def budget_remaining() -> float:
    """Seconds left of this tick's budget; infinite without one; in deterministic mode the whole budget."""
    return math.inf if _current is None else _current.budget_remaining()
