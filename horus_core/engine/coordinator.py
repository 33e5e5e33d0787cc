"""Releases ticks: in lockstep when everybody has finished the last one, in real time by the clock.

What a node sees in a tick is settled before the tick begins: at a release the coordinator commits what came from outside and
what late and dead nodes have sent, lets those that are back take part, and only then announces the tick. Who is late is decided
in `lateness`, who is gone and comes back in `absence`.
"""

from __future__ import annotations

import time

import posix_ipc

from horus_core.engine.absence import Absence
from horus_core.engine.commits import Commits
from horus_core.engine.lateness import Lateness
from horus_core.engine.pace import Pace
from horus_core.engine.patterns import Pattern, Patterns
from horus_core.engine.relay import relay_of
from horus_core.engine.safe_mode import SafeMode
from horus_core.engine.semaphores import Semaphores
from horus_core.engine.watch import Happenings, Watch
from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    FREE,
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_RELAY,
    H_RELEASED,
    H_SAFE_MODE,
    H_SLIPS,
    H_STOP_ASKED,
    N_EXCUSED,
    N_FINISHED,
    NEVER,
    Layout,
    fence,
)
from horus_core.memory.shared import SharedMemory

_HOUSEKEEPING_SECONDS = 0.02
LEAD_NS = 30_000_000  # what the recorder has to open its files once the time of tick 0 is settled
_ABANDON_SECONDS = 1.0


class Coordinator:
    """Releases ticks.

    Args:
        graph, memory, control, layout, semaphores: the graph's.
        watch: who looks after the processes.
        happenings: is told of misses, returns, slips and safe mode.
        safe_mode: whether safe mode is wanted.
        lockstep: wait for everybody.
        first_tick: the first tick to release.

    Attributes:
        tick: the next tick to release.
        lateness: who is late.
        absence: who has no process.
    """

    def __init__(
        self,
        graph: Graph,
        memory: SharedMemory,
        control: memoryview,
        layout: Layout,
        semaphores: Semaphores,
        watch: Watch,
        happenings: Happenings,
        safe_mode: SafeMode,
        lockstep: bool,
        first_tick: int,
    ) -> None:
        self._graph, self._control, self._watch, self._lockstep = graph, control, watch, lockstep
        self._happenings = happenings
        self._patterns = Patterns(graph, layout)
        self._commits = Commits(graph, memory, control, layout)
        self._post, self._done = semaphores.post, semaphores.done
        down: set[int] = set()
        self.lateness = Lateness(graph, control, layout, semaphores, self._commits, happenings, down)
        self.absence = Absence(graph, control, layout, semaphores, self._commits, happenings, self.lateness, down)
        self._rows = [layout.node(each) for each in range(len(graph.nodes))]
        self.tick = first_tick if self._patterns.at(first_tick).active else self._patterns.next(first_tick)
        self._stop_since = 0.0
        self._safe_mode = safe_mode
        self._relay = relay_of(graph) if lockstep else None
        self._origin = (0, self.tick)  # a monotonic time, and the tick that is due then

    @property
    def out(self) -> frozenset[int]:
        """The nodes that take no part now: late, dead or being restarted."""
        return frozenset(self.lateness.late).union(self.absence.nodes)

    def set_epoch(self, first_tick: int, epoch_ns: int | None, lead_ns: int = 0) -> None:
        """Fixes the graph's time: `first_tick` is released `lead_ns` from now; or tick 0 was at `epoch_ns`."""
        since = round(first_tick * 1e9 / self._graph.tick_rate) - lead_ns
        now = time.monotonic_ns()
        self._control[H_EPOCH_MONOTONIC] = now - since
        self._control[H_EPOCH] = time.time_ns() - since if epoch_ns is None else epoch_ns

    def run(self, last_tick: int | None, pace: Pace) -> None:
        """Releases ticks up to `last_tick` (None: until the graph is to stop), and returns when they are done."""
        first = self._control[H_EPOCH_MONOTONIC] + round(self.tick * 1e9 / self._graph.tick_rate)
        self._origin = (max(time.monotonic_ns(), min(first, time.monotonic_ns() + LEAD_NS)), self.tick)
        if self._lockstep:
            self._run_lockstep(last_tick, pace)
        else:
            self._run_in_time(last_tick, pace.period_ns)

    # Lockstep.

    def _run_lockstep(self, last_tick: int | None, pace: Pace) -> None:
        control, watch, done, patterns = self._control, self._watch, self._done, self._patterns
        housekeeping = time.monotonic()
        period_ns = pace.period_ns
        while (last_tick is None or self.tick <= last_tick) and not watch.stopping:
            tick = self.tick
            if pace.paused or pace.period_ns != period_ns:
                while pace.holds() and not watch.stopping:
                    watch.housekeep(0.02)
                period_ns, self._origin = pace.period_ns, (time.monotonic_ns(), tick)
            if period_ns:
                self._sleep_until_release(tick, period_ns)
                if watch.stopping:
                    break
            elif time.monotonic() - housekeeping > _HOUSEKEEPING_SECONDS:
                housekeeping = time.monotonic()
                watch.housekeep(0)
            if self.absence:
                watch.settle()
                self.absence.readmit(tick)
            out = self.out
            pattern = patterns.without(tick, out) if out else patterns.at(tick)
            if self._safe_mode.wanted and not control[H_SAFE_MODE]:
                pattern = self._begin_safe_mode(tick, out)
            for position in pattern.computes:
                self._await(self._rows[position] + N_FINISHED, self._graph.schedules[position].last(tick - 1))
            self._commits.external(tick)
            relayed = self._relay is not None and not period_ns and not out and not self._safe_mode.wanted
            if relayed:
                control[H_RELAY] = FREE if last_tick is None else last_tick
            fence()
            control[H_RELEASED] = tick
            for position in pattern.sources:
                self._post[position]()
            if relayed and (tick := self._follow_relay(pace)) < 0:
                return
            for finished, excused in pattern.sinks:
                while control[finished] < tick and control[excused] < tick:
                    try:
                        done.acquire(_HOUSEKEEPING_SECONDS)
                    except posix_ipc.BusyError:
                        watch.housekeep(0)
                    except posix_ipc.SignalError:
                        pass
                    if watch.stopping and self._abandoned(finished, tick):
                        return
            if self.out != out:  # somebody died in this tick: those that it would have waited for
                for finished, _ in patterns.without(tick, self.out).sinks:
                    self._await(finished, tick)
            self.tick = patterns.next(tick)
            if control[H_STOP_ASKED]:
                return
        for position, schedule in enumerate(self._graph.schedules):
            if self._graph.nodes[position].compute:
                self._await(self._rows[position] + N_FINISHED, schedule.last(self.tick - 1))

    def _follow_relay(self, pace: Pace) -> int:
        """Looks after everything else while the last node of each tick releases the next (see `relay`).

        Returns:
            The tick that was released last, and has ended or lost its last node; -1 if a stop need not wait for it.
        """
        control, watch, relay = self._control, self._watch, self._relay
        finished = self._rows[relay.sink] + N_FINISHED  # type: ignore[union-attr]
        while True:
            if watch.stopping or pace.paused or pace.period_ns or self.absence or self._safe_mode.wanted:
                control[H_RELAY] = NEVER
            ended = control[finished]
            fence()
            tick: int = control[H_RELEASED]
            if ended >= tick:
                control[H_RELAY] = NEVER
                return tick
            if control[finished - N_FINISHED + N_EXCUSED] >= tick:  # it is gone, perhaps before it woke anybody
                control[H_RELAY] = NEVER
                for position in relay.sources:  # type: ignore[union-attr]
                    self._post[position]()
                return tick
            if watch.stopping and self._abandoned(finished, tick):
                return -1
            try:
                self._done.acquire(_HOUSEKEEPING_SECONDS)
            except posix_ipc.BusyError:
                watch.housekeep(0)
            except posix_ipc.SignalError:
                continue

    def _abandoned(self, finished: int, tick: int) -> bool:
        """Whether a stop need not wait for this tick: it has been given a second to end by itself."""
        self._stop_since = self._stop_since or time.monotonic()
        return self._control[finished] < tick and time.monotonic() - self._stop_since > _ABANDON_SECONDS

    def _await(self, finished: int, tick: int) -> None:
        excused = finished - N_FINISHED + N_EXCUSED
        while self._control[finished] < tick and self._control[excused] < tick and not self._watch.stopping:
            try:
                self._done.acquire(_HOUSEKEEPING_SECONDS)
            except posix_ipc.BusyError:
                self._watch.housekeep(0)
            except posix_ipc.SignalError:
                continue

    def _begin_safe_mode(self, tick: int, out: frozenset[int]) -> Pattern:
        """The pattern of the tick with which safe mode begins: every ``safe_state`` runs in it."""
        self._control[H_SAFE_MODE] = tick + 1
        self._happenings.safe_mode_began(tick)
        return self._patterns.of_safe_mode(tick, out)

    # Real time.

    def _run_in_time(self, last_tick: int | None, period_ns: float) -> None:
        watch, lateness = self._watch, self.lateness
        releasing = True
        while not watch.stopping:
            if releasing and ((last_tick is not None and self.tick > last_tick) or self._control[H_STOP_ASKED]):
                releasing = False
            deadline = lateness.next_deadline
            if not releasing and deadline is None:
                return
            release = self._release_time(self.tick, period_ns)
            wake = release if deadline is None else deadline if not releasing else min(release, deadline)
            self._sleep_until(wake)
            now = time.monotonic_ns()
            lateness.check(now)
            if releasing and now >= release and not watch.stopping:
                if now - release > period_ns:
                    self._slip(now - release)
                    release = now
                self._release(self.tick, release)
                self.tick = self._patterns.next(self.tick)

    def _release_time(self, tick: int, period_ns: float) -> int:
        at, first = self._origin
        return at + round((tick - first) * period_ns)

    def _slip(self, behind_ns: int) -> None:
        """The machine stood still for more than a period: the schedule moves on instead of catching up in a burst."""
        self._origin = (self._origin[0] + behind_ns, self._origin[1])
        self._control[H_SLIPS] += 1
        self._happenings.slipped(self.tick, behind_ns)

    def _release(self, tick: int, at: int) -> None:
        control, lateness = self._control, self.lateness
        if lateness.late or self.absence:
            lateness.rejoin(tick)
            self.absence.readmit(tick)
        out = self.out
        pattern = self._patterns.without(tick, out) if out else self._patterns.at(tick)
        if self._safe_mode.wanted and not control[H_SAFE_MODE]:
            pattern = self._begin_safe_mode(tick, out)
        self._commits.external(tick)
        lateness.issue_tickets(pattern)
        lateness.excuse(tick)
        fence()
        control[H_RELEASED] = tick
        for position in pattern.sources:
            self._post[position]()
        lateness.released(pattern, tick, at)

    def _sleep_until_release(self, tick: int, period_ns: float) -> None:
        release = self._release_time(tick, period_ns)
        self._sleep_until(release)
        behind = time.monotonic_ns() - release
        if behind > period_ns and not self._watch.stopping:
            self._slip(behind)

    def _sleep_until(self, wake: int) -> None:
        """Sleeps until the monotonic time `wake`, looking after the processes if there is time for it."""
        watch = self._watch
        while not watch.stopping:
            left = (wake - time.monotonic_ns()) * 1e-9
            if left > 0.003:
                watch.housekeep(min(left - 0.002, 0.05))
            else:
                if left > 0:
                    time.sleep(left)
                else:
                    watch.housekeep(0)
                return
