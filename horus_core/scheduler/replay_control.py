"""How a scheduler replays: range, speed, loop, what is sent instead; and pausing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from horus_core.errors import InvalidValue
from horus_core.scheduler.parts import Parts


class ReplayControl(Parts):
    """The replay side of a scheduler."""

    def start_at_tick(self, tick: int, cold: bool = False) -> Self:
        """Starts the replay at `tick`.

        Live nodes have lived through the ticks before by then: those are run as fast as can be, and what nodes print and send
        in them is neither shown nor recorded.

        Args:
            tick: the first tick that is shown.
            cold: live nodes start at `tick` with an empty past, and nothing is run before it.

        Raises:
            ReplayRange: the recording does not have it.
        """
        self._must_be_idle("cannot start_at_tick")
        self._replaying.set_range("start_at_tick", tick)
        self._replaying.cold = bool(cold)
        return self

    def stop_at_tick(self, tick: int) -> Self:
        """Ends the replay after `tick`. Raises ReplayRange if that is before its start."""
        self._must_be_idle("cannot stop_at_tick")
        self._replaying.set_range("stop_at_tick", tick)
        return self

    def set_replay_speed(self, speed: float) -> Self:
        """Sets the speed: 1 as recorded, 0.01 to 100 times that, or 0 for as fast as possible."""
        from horus_core.replay.source import check_speed

        self._replaying.speed = check_speed(speed)
        if self._run.engine is not None:
            self._pace.period_ns = self._replaying.period_ns(
                self._run.engine.plan.graph.tick_rate, self._settings.paced
            )
        return self

    def set_replay_loop(self, loop: bool = True) -> Self:
        """Starts over when the recording ends, until it is stopped or `duration` is over."""
        self._replaying.loop = bool(loop)
        return self

    def set_replay_schedule(self, schedule: str) -> Self:
        """Sets when a live node runs that the recording also knows.

        Args:
            schedule: "recorded" (in the ticks in which it ran then) or "free" (in all of its ticks).
        """
        if schedule not in ("recorded", "free"):
            raise InvalidValue("the replay schedule", repr(schedule), "'recorded' or 'free'")
        self._replaying.free = schedule == "free"
        return self

    def set_replay_override(self, node_name: str, output_name: str, value: Any) -> Self:
        """Replaces what a replayed node sends on a topic.

        Args:
            node_name: the replayed node.
            output_name: one of its topics.
            value: bytes are delivered as those bytes; a callable gets the recorded value and returns the new one; any other
                value is sent as it is.

        Raises:
            UnknownNode, UnknownTopic: the recording has no such node, or the node no such topic.
        """
        self._replaying.set_override(node_name, output_name, value)
        return self

    def set_replay_topics(self, topics: Sequence[str]) -> Self:
        """Replays these topics only; on the others the replayed nodes stay silent.

        Raises:
            InvalidValue: no replayed node sends on one of them.
        """
        self._replaying.set_topics(topics)
        return self

    def pause(self) -> Self:
        """Holds the graph before its next tick; only where it waits for everybody (replays, ``deterministic=True``)."""
        self._pace.paused, self._pace.steps = True, 0
        return self

    def resume(self) -> Self:
        """Goes on after :meth:`pause`."""
        self._pace.paused = False
        return self

    def step(self, ticks: int = 1) -> Self:
        """Releases `ticks` ticks of a paused graph."""
        self._pace.steps += ticks
        return self

    @property
    def paused(self) -> bool:
        """Whether :meth:`pause` holds the graph."""
        return self._pace.paused
