"""Decides when a tick is released, who is late, and who takes part again.

One loop serves both kinds of time. In lockstep the next tick is released when everybody has finished the last one. In real
time tick k is released at ``epoch + k / R``; a node that has not finished at its deadline is declared late (see ``worker``),
nobody waits for it any longer, and at the first release after it has finished its outputs are committed and it takes part
again. What comes from outside the graph is committed at a release too. So what a node sees in a tick is settled before the
tick begins.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, replace
from typing import Protocol

import posix_ipc

from horus_core.engine.relay import relay_of
from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    FREE,
    H_ADMITTED,
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_EXTERNAL,
    H_RELAY,
    H_RELEASED,
    H_SAFE_MODE,
    H_SLIPS,
    H_STOP_ASKED,
    L_COMMIT,
    L_HEAD,
    N_BACK,
    N_CURRENT,
    N_EXCUSED,
    N_FINISHED,
    N_LATE_DONE,
    N_MISSES,
    N_RESUME,
    NEVER,
    Layout,
    fence,
)
from horus_core.memory.lane import LaneReader
from horus_core.memory.shared import SharedMemory

_HOUSEKEEPING_SECONDS = 0.02
LEAD_NS = 30_000_000  # what the recorder has to open its files once the time of tick 0 is settled
_ABANDON_SECONDS = 1.0
_PATTERN_LIMIT = 4096  # ticks after which the pattern of active nodes repeats, up to which it is kept


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


class Watch(Protocol):
    """What the coordinator asks of the supervisor."""

    def safe_mode_began(self, tick: int) -> None:
        """Safe mode begins with `tick`."""

    def came_back(self, position: int, tick: int) -> None:
        """`position`, which was restarted, takes part again from `tick` on."""

    def housekeep(self, seconds: float) -> None:
        """Looks after processes and their output for up to `seconds`; returns early if anything happened."""

    def settle(self) -> None:
        """Returns when no node is being restarted; only in lockstep."""

    def slipped(self, tick: int, behind_ns: int) -> None:
        """`tick` is released that much too late, and what follows with it."""

    def missed(self, position: int, tick: int) -> None:
        """`position` did not finish `tick` by its deadline."""

    @property
    def stopping(self) -> bool:
        """Whether the graph is to end."""


@dataclass(frozen=True)
class Pattern:
    """Who does what in a tick.

    Attributes:
        active: the nodes that run.
        sources: those of them that wait for none of the others.
        sinks: the finished and excused words of those that no other waits for, compute nodes left out.
        computes: the compute nodes that run.
        deadlines: (ns after the release, position) of each, soonest first.
    """

    active: tuple[int, ...]
    sources: tuple[int, ...]
    sinks: tuple[tuple[int, int], ...]
    computes: tuple[int, ...]
    deadlines: tuple[tuple[int, int], ...]


class Patterns:
    """The patterns of a graph's ticks, kept as long as they repeat soon enough."""

    def __init__(self, graph: Graph, layout: Layout) -> None:
        self._graph, self._layout = graph, layout
        self._length = math.lcm(*(schedule.ticks for schedule in graph.schedules))
        self._kept: dict[int, Pattern] = {}
        self._always = any((schedule.jobs, schedule.ticks) == (1, 1) for schedule in graph.schedules)

    def at(self, tick: int) -> Pattern:
        """The pattern of `tick`."""
        key = tick % self._length
        pattern = self._kept.get(key)
        if pattern is None:
            pattern = self.without(tick, frozenset())
            if self._length <= _PATTERN_LIMIT:
                self._kept[key] = pattern
        return pattern

    def without(self, tick: int, out: frozenset[int], also: frozenset[int] = frozenset()) -> Pattern:
        """The pattern of `tick` if the nodes in `out` take no part in it, and those of `also` do that would not."""
        graph, layout = self._graph, self._layout
        schedules = enumerate(graph.schedules)
        active = [each for each, schedule in schedules if each not in out and (each in also or schedule.active(tick))]
        there = set(active)
        waiting = [each for each in active if not graph.nodes[each].compute]
        return Pattern(
            active=tuple(active),
            sources=tuple(each for each in active if there.isdisjoint(graph.waits[each])),
            sinks=tuple(
                (layout.node(each) + N_FINISHED, layout.node(each) + N_EXCUSED)
                for each in waiting
                if not any(other in there and not graph.nodes[other].compute for other in graph.feeds[each])
            ),
            computes=tuple(each for each in active if graph.nodes[each].compute),
            deadlines=tuple(sorted((round(graph.deadlines[each] * 1e9), each) for each in active)),
        )

    def next(self, tick: int) -> int:
        """The first tick after `tick` in which any node runs."""
        return tick + 1 if self._always else min(schedule.next(tick) for schedule in self._graph.schedules)


class ExternalLanes:
    """Commits what came from outside, at a release."""

    def __init__(self, graph: Graph, memory: SharedMemory, control: memoryview, layout: Layout) -> None:
        self._control = control
        self._lanes = [
            (layout.lane(lane.index), LaneReader(memory, control, layout, lane.index, observe=True))
            for lane in graph.lanes
            if lane.external
        ]
        self._seen = 0

    def commit(self, tick: int) -> None:
        """Lets the graph see, from `tick` on, what has come in."""
        control = self._control
        if control[H_EXTERNAL] == self._seen:
            return
        self._seen = control[H_EXTERNAL]
        fence()
        for row, reader in self._lanes:
            head, commit = control[row + L_HEAD], control[row + L_COMMIT]
            if head != commit:
                reader.set_visible(commit, head, tick, sent_in=tick)
                fence()
                control[row + L_COMMIT] = head
        control[H_ADMITTED] = self._seen


class Coordinator:
    """Releases ticks.

    Args:
        graph, memory, control, layout: the graph's.
        watch: the supervisor.
        lockstep: wait for everybody.
        first_tick: the first tick to release.

    Attributes:
        tick: the next tick to release.
        out: nodes that take no part now: late, dead or being restarted.
        safe_mode: whether safe mode is to begin with the next tick, or has.
    """

    def __init__(
        self,
        graph: Graph,
        memory: SharedMemory,
        control: memoryview,
        layout: Layout,
        watch: Watch,
        lockstep: bool,
        first_tick: int,
    ) -> None:
        self._graph, self._control, self._layout, self._watch, self._lockstep = graph, control, layout, watch, lockstep
        self._patterns = Patterns(graph, layout)
        self._external = ExternalLanes(graph, memory, control, layout)
        self._go = [memory.semaphore(f"go{each}") for each in range(len(graph.nodes))]
        self._post = [go.release for go in self._go]
        self._done = memory.semaphore("done")
        self._tickets = [] if lockstep else [memory.semaphore(f"ticket{each}") for each in range(len(graph.nodes))]
        self._rows = [layout.node(each) for each in range(len(graph.nodes))]
        self._observers: dict[int, LaneReader] = {}
        self._memory = memory
        self._due: list[
            tuple[int, int, int, bool]
        ] = []  # deadline (monotonic ns), position, tick, whether it is the last
        self._late: dict[int, int] = {}
        self._late_since: dict[int, int] = {}
        self._returning: set[int] = set()
        self._down: set[int] = set()
        self.tick = first_tick if self._patterns.at(first_tick).active else self._patterns.next(first_tick)
        self._stop_since = 0.0
        self.safe_mode = False
        self._with_safe_state = frozenset(each for each, node in enumerate(graph.nodes) if node.safe_state)
        self._relay = relay_of(graph) if lockstep else None
        self._origin = (0, self.tick)  # a monotonic time, and the tick that is due then

    def late_since(self, position: int) -> int | None:
        """Since when `position` is late, monotonic ns; None if it is not."""
        return self._late_since[position] if position in self._late else None

    @property
    def out(self) -> frozenset[int]:
        return frozenset(self._late).union(self._down, self._returning)

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
            if self._down or self._returning:
                watch.settle()
                self._readmit(tick)
            out = self.out
            pattern = patterns.without(tick, out) if out else patterns.at(tick)
            if self.safe_mode and not control[H_SAFE_MODE]:
                pattern = self._begin_safe_mode(tick, out)
            for position in pattern.computes:
                self._await(self._rows[position] + N_FINISHED, self._graph.schedules[position].last(tick - 1))
            self._external.commit(tick)
            relayed = self._relay is not None and not period_ns and not out and not self.safe_mode
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
            if watch.stopping or pace.paused or pace.period_ns or self._down or self._returning or self.safe_mode:
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
        self._watch.safe_mode_began(tick)
        pattern = self._patterns.without(tick, out, self._with_safe_state)
        return replace(pattern, sources=pattern.active)  # nobody waits for anybody

    # Real time.

    def _run_in_time(self, last_tick: int | None, period_ns: float) -> None:
        watch, due = self._watch, self._due
        releasing = True
        while not watch.stopping:
            if releasing and ((last_tick is not None and self.tick > last_tick) or self._control[H_STOP_ASKED]):
                releasing = False
            if not releasing and not due:
                return
            release = self._release_time(self.tick, period_ns)
            wake = min(release, due[0][0]) if due and releasing else due[0][0] if due else release
            self._sleep_until(wake)
            now = time.monotonic_ns()
            while due and due[0][0] <= now:
                at, position, tick, last = heapq.heappop(due)
                self._check_deadline(position, tick, at, last)
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
        self._watch.slipped(self.tick, behind_ns)

    def _release(self, tick: int, at: int) -> None:
        control = self._control
        if self._late or self._down or self._returning:
            self._rejoin(tick)
            self._readmit(tick)
        out = self.out
        pattern = self._patterns.without(tick, out) if out else self._patterns.at(tick)
        if self.safe_mode and not control[H_SAFE_MODE]:
            pattern = self._begin_safe_mode(tick, out)
        self._external.commit(tick)
        for position in pattern.active:
            self._tickets[position].release()
        for position in self._late:
            control[self._rows[position] + N_EXCUSED] = tick
        fence()
        control[H_RELEASED] = tick
        for position in pattern.sources:
            self._post[position]()
        for position in self._late:
            self._wake_hearers(position)
        due = self._due
        for after, position in pattern.deadlines:
            heapq.heappush(due, (at + after, position, tick, False))

    def _check_deadline(self, position: int, tick: int, at: int, last: bool) -> None:
        row = self._rows[position]
        if self._control[row + N_FINISHED] >= tick or position in self._down:
            return
        if not last and self._control[row + N_CURRENT] != tick and self._held_up(position, tick):
            # Not its fault: it has until its next release.
            node = self._graph.nodes[position]
            left = round((node.period - self._graph.deadlines[position]) * 1e9)
            heapq.heappush(self._due, (at + left, position, tick, True))
            return
        try:
            self._tickets[position].acquire(0)
        except posix_ipc.BusyError:  # it has just finished
            return
        self._late[position] = tick
        self._late_since[position] = time.monotonic_ns()
        self._control[row + N_MISSES] += 1
        self._control[row + N_EXCUSED] = max(self._control[row + N_EXCUSED], tick)
        fence()
        self._wake_hearers(position)
        self._watch.missed(position, tick)

    def _held_up(self, position: int, tick: int) -> bool:
        """Whether a node that this one waits for is late in `tick`, or waits itself."""
        for other in self._graph.waits[position]:
            needed = self._graph.schedules[other].last(tick)
            if other in self._late or self._control[self._rows[other] + N_FINISHED] < needed:
                return True
        return False

    def _rejoin(self, tick: int) -> None:
        """Late nodes that have finished take part again, from `tick` on."""
        control = self._control
        for position, missed in list(self._late.items()):
            row = self._rows[position]
            if control[row + N_LATE_DONE] < missed:
                continue
            fence()
            del self._late[position]
            self._commit_lanes(position, tick)
            control[row + N_FINISHED] = max(control[row + N_FINISHED], missed)
            control[row + N_EXCUSED] = max(control[row + N_EXCUSED], tick - 1)
            fence()
            control[row + N_RESUME] = tick
            self._post[position]()

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

    # Nodes that go and come back.

    def take_out(self, position: int) -> None:
        """`position` has ended: nobody waits for it any longer."""
        self._late.pop(position, None)
        self._down.add(position)
        control, row = self._control, self._rows[position]
        control[H_RELAY] = NEVER  # before anybody is let go on without it
        fence()
        control[row + N_EXCUSED] = FREE
        control[row + N_RESUME] = -1
        for word in self._reader_floors(position):
            control[word] = FREE
        fence()
        self._wake_hearers(position)
        self._done.release()

    def bring_back(self, position: int) -> None:
        """`position` runs again, in a new process that is ready: it takes part from the next release on."""
        self._returning.add(position)

    def _readmit(self, tick: int) -> None:
        control = self._control
        for position in self._down:
            if position not in self._returning:
                self._commit_lanes(position, tick)
        for position in sorted(self._returning):
            row = self._rows[position]
            self._commit_lanes(position, tick)
            if self._tickets:
                _drain(self._tickets[position])
            control[row + N_FINISHED] = control[row + N_EXCUSED] = tick - 1
            fence()
            control[row + N_BACK] = control[row + N_RESUME] = tick
            self._watch.came_back(position, tick)
            self._down.discard(position)
            self._post[position]()
        self._returning.clear()

    def _reader_floors(self, position: int) -> list[int]:
        return [self._layout.floor(entry.lane, position) for entry in self._graph.inputs[position]]

    def _commit_lanes(self, position: int, visible: int) -> None:
        """Lets others have, from tick `visible` on, what a late or dead node has sent."""
        control = self._control
        for lane in self._graph.outputs[position]:
            row = self._layout.lane(lane)
            head, commit = control[row + L_HEAD], control[row + L_COMMIT]
            if head != commit:
                if lane not in self._observers:
                    self._observers[lane] = LaneReader(self._memory, control, self._layout, lane, observe=True)
                self._observers[lane].set_visible(commit, head, visible)
                fence()
                control[row + L_COMMIT] = head

    def _wake_hearers(self, position: int) -> None:
        for other in (*self._graph.feeds[position], *self._graph.delayed[position]):
            self._post[other]()


def _drain(semaphore: posix_ipc.Semaphore) -> None:
    try:
        while True:
            semaphore.acquire(0)
    except posix_ipc.BusyError:
        return
