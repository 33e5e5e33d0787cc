"""Who runs when: the pattern of each tick, and releases, deadlines and returns on a clock that jumps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import posix_ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.engine import coordinator as coordination
from horus_core.engine import lateness
from horus_core.engine.coordinator import Coordinator
from horus_core.engine.pace import Pace
from horus_core.engine.patterns import Patterns
from horus_core.engine.safe_mode import SafeMode
from horus_core.engine.semaphores import Semaphores
from horus_core.graph.schedule import NodeSchedule
from horus_core.graph.spec import Graph, NodeSpec, TopicSpec, build_graph
from horus_core.memory.control import (
    H_RELEASED,
    H_SLIPS,
    H_STOP_ASKED,
    N_CURRENT,
    N_EXCUSED,
    N_FINISHED,
    N_LATE_DONE,
    N_MISSES,
    N_RESUME,
    NEVER,
    Layout,
    create_control,
)
from horus_core.memory.shared import LocalMemory

MS = 1_000_000


def spec(name: str, pubs: str = "", subs: str = "", rate: float = 100.0, **more: object) -> NodeSpec:
    topics = {"pubs": tuple(map(TopicSpec, pubs.split())), "subs": tuple(map(TopicSpec, subs.split()))}
    return NodeSpec(name, rate, **topics, **more)  # type: ignore[arg-type]


# Patterns.

SPECS = st.lists(
    st.tuples(
        st.sets(st.sampled_from("abc"), max_size=2),
        st.sets(st.sampled_from("abc"), max_size=2),
        st.sampled_from([100.0, 50.0, 30.0, 7.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
).map(
    lambda drawn: [
        spec(f"n{at}", " ".join(sorted(pubs)), " ".join(sorted(subs)), rate, compute=compute)
        for at, (pubs, subs, rate, compute) in enumerate(drawn)
    ]
)


@given(SPECS, st.integers(0, 5000), st.sets(st.integers(0, 5), max_size=2))
def test_a_pattern_says_who_runs_who_begins_and_who_ends_the_tick(
    specs: list[NodeSpec], tick: int, out: set[int]
) -> None:
    graph = build_graph(specs, 1)
    layout = Layout.of(graph)
    patterns = Patterns(graph, layout)
    pattern = patterns.without(tick, frozenset(out)) if out else patterns.at(tick)
    active = {
        at
        for at, node in enumerate(graph.nodes)
        if at not in out and NodeSchedule(node.rate, graph.tick_rate).active(tick)
    }
    compute = {at for at in active if graph.nodes[at].compute}
    edges = {(writer, reader) for reader in active for writer in graph.waits[reader] if writer in active}
    assert set(pattern.active) == active
    assert set(pattern.computes) == compute
    assert set(pattern.sources) == active - {reader for _, reader in edges}
    ends = active - compute - {writer for writer, reader in edges if reader not in compute}
    assert {finished for finished, _ in pattern.sinks} == {layout.node(at) + N_FINISHED for at in ends}
    assert {excused for _, excused in pattern.sinks} == {layout.node(at) + N_EXCUSED for at in ends}
    assert list(pattern.deadlines) == sorted((round(graph.deadlines[at] * 1e9), at) for at in active)


@given(SPECS, st.integers(0, 5000))
def test_the_next_tick_is_the_first_in_which_anybody_runs(specs: list[NodeSpec], tick: int) -> None:
    graph = build_graph(specs, 1)
    expected = next(k for k in itertools.count(tick + 1) if any(each.active(k) for each in graph.schedules))
    assert Patterns(graph, Layout.of(graph)).next(tick) == expected


def test_patterns_repeat_also_where_they_are_kept() -> None:
    graph = build_graph([spec("a", rate=100), spec("b", rate=30), spec("c", rate=7)], 1)
    patterns = Patterns(graph, Layout.of(graph))
    for tick in (*range(250), 10**9, 10**9 + 1):
        assert patterns.at(tick) == patterns.without(tick, frozenset())


# A world in which time passes only where somebody waits.


class World:
    """Clock, semaphores and node processes: a stand-in for `time`, for SharedMemory and for the supervisor.

    Args:
        graph: whose nodes run, in ticks that take `busy(name, tick)` ns.
    """

    def __init__(self, graph: Graph, lockstep: bool, busy: Callable[[str, int], int], first_tick: int = 0) -> None:
        self.graph, self.lockstep, self.busy = graph, lockstep, busy
        self.now = 50 * MS
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.count = itertools.count()
        self.layout = Layout.of(graph)
        self.local = LocalMemory()
        self.control = create_control(self.local, self.layout, first_tick, False)
        self.values: dict[str, int] = {}
        self.schedules = graph.schedules
        self.next = {
            at: first_tick if schedule.active(first_tick) else schedule.next(first_tick)
            for at, schedule in enumerate(graph.schedules)
        }
        self.working: set[int] = set()
        self.ran: list[tuple[str, int, int]] = []  # node, tick, when it began
        self.missed_by: list[tuple[str, int]] = []
        self.slips: list[tuple[int, int]] = []
        self.back: list[tuple[str, int]] = []
        self.stopping = False
        self.frozen: Callable[[], None] | None = None

    # time

    def monotonic_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now * 1e-9

    def time_ns(self) -> int:
        return self.now + 1_000_000 * MS

    def sleep(self, seconds: float) -> None:
        self.advance(round(seconds * 1e9))

    def advance(self, ns: int) -> None:
        until = self.now + max(ns, 1)
        while self.events and self.events[0][0] <= until:
            at, _, event = heapq.heappop(self.events)
            self.now = max(self.now, at)
            event()
        self.now = max(self.now, until)

    def later(self, ns: int, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + ns, next(self.count), event))

    # memory

    def create(self, what: str, size: int) -> memoryview:
        return self.local.create(what, size)

    def open(self, what: str) -> memoryview:
        return self.local.open(what)

    def remove(self, what: str) -> None:
        self.local.remove(what)

    def semaphore(self, what: str, create: bool = False) -> SimpleNamespace:
        self.values.setdefault(what, 0)

        def release() -> None:
            self.values[what] += 1
            if what.startswith("go"):
                self.later(0, lambda: self.try_to_run(int(what[2:])))

        def acquire(timeout: float | None = None) -> None:
            if not self.values[what] and timeout:
                self.advance(min(round(timeout * 1e9), self.events[0][0] - self.now if self.events else 1 << 60))
            if not self.values[what]:
                raise posix_ipc.BusyError
            self.values[what] -= 1

        return SimpleNamespace(release=release, acquire=acquire)

    # nodes

    def try_to_run(self, at: int) -> None:
        control, row = self.control, self.layout.node(at)
        tick = self.next[at]
        if at in self.working or control[H_RELEASED] < tick:
            return
        for other in self.graph.waits[at]:
            theirs, needed = self.layout.node(other), self.schedules[other].last(tick)
            if control[theirs + N_FINISHED] < needed and control[theirs + N_EXCUSED] < needed:
                return
        if (
            not self.lockstep
            and control[row + N_EXCUSED] >= tick
            and control[H_RELEASED] >= self.schedules[at].next(tick)
        ):
            self.late(at, tick)
            return
        self.working.add(at)
        control[row + N_CURRENT] = tick
        self.ran.append((self.graph.nodes[at].name, tick, self.now))
        self.later(self.busy(self.graph.nodes[at].name, tick), lambda: self.finish(at, tick))

    def finish(self, at: int, tick: int) -> None:
        self.working.discard(at)
        self.control[self.layout.node(at) + N_CURRENT] = NEVER
        if not self.lockstep:
            if not self.values[f"ticket{at}"]:
                self.late(at, tick)
                return
            self.values[f"ticket{at}"] -= 1
        self.control[self.layout.node(at) + N_FINISHED] = tick
        self.next[at] = self.schedules[at].next(tick)
        self.values["done"] += 1
        for other in (*self.graph.feeds[at], *self.graph.delayed[at]):
            self.later(0, lambda other=other: self.try_to_run(other))
        self.later(0, lambda: self.try_to_run(at))

    def late(self, at: int, tick: int) -> None:
        """As a worker does: says so, and waits to be told from which tick on it runs."""
        row = self.layout.node(at)
        self.control[row + N_LATE_DONE] = tick
        if self.control[row + N_RESUME] <= tick:
            self.working.add(at)
            self.later(MS // 10, lambda: self.late(at, tick))
            return
        resume = self.control[row + N_RESUME]
        self.working.discard(at)
        self.next[at] = resume if self.schedules[at].active(resume) else self.schedules[at].next(resume)
        self.later(0, lambda: self.try_to_run(at))

    # supervisor

    def housekeep(self, seconds: float) -> None:
        if self.frozen is not None:
            freeze, self.frozen = self.frozen, None
            freeze()
        if seconds:
            self.advance(min(round(seconds * 1e9), self.events[0][0] - self.now if self.events else 1 << 60))

    def settle(self) -> None: ...

    def safe_mode_began(self, tick: int) -> None: ...

    def slipped(self, tick: int, behind_ns: int) -> None:
        self.slips.append((tick, behind_ns))

    def came_back(self, position: int, tick: int) -> None:
        self.back.append((self.graph.nodes[position].name, tick))

    def missed(self, position: int, tick: int) -> None:
        self.missed_by.append((self.graph.nodes[position].name, tick))


def run(
    world: World, monkeypatch: pytest.MonkeyPatch, last_tick: int | None, period_ns: float, first_tick: int = 0
) -> Coordinator:
    monkeypatch.setattr(coordination, "time", world)
    monkeypatch.setattr(lateness, "time", world)
    semaphores = Semaphores(world, len(world.graph.nodes), not world.lockstep)  # type: ignore[arg-type]
    safe_mode = SafeMode(lambda reason: None)
    coordinator = Coordinator(
        world.graph,
        world,  # type: ignore[arg-type]
        world.control,
        world.layout,
        semaphores,
        world,
        world,
        safe_mode,
        world.lockstep,
        first_tick,
    )
    coordinator.run(last_tick, Pace(period_ns))
    return coordinator


def ticks_of(world: World, node: str) -> list[int]:
    return [tick for name, tick, _ in world.ran if name == node]


def quick(node: str, tick: int) -> int:
    return MS


# Lockstep.


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 2.0), (0.5, 4.0), (0.01, 200.0), (100.0, 0.02)])
def test_200_ticks_of_10_ms_take_2_s_divided_by_the_speed(
    monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float
) -> None:
    period = 10 * MS / speed
    world = World(
        build_graph([spec("sensor", "t"), spec("controller", "", "t")], 100), True, lambda node, tick: int(period / 10)
    )
    began = world.now
    run(world, monkeypatch, 199, period)
    for node in ("sensor", "controller"):
        assert ticks_of(world, node) == list(range(200))
    released = [at for name, _, at in world.ran if name == "sensor"]
    for tick, at in enumerate(released):
        assert abs(at - began - tick * period) <= 0.05 * period
    assert seconds - period * 1e-9 <= (world.now - began) * 1e-9 <= seconds


def test_as_fast_as_possible_waits_for_the_nodes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("sensor", "t"), spec("controller", "", "t")], 100), True, quick)
    began = world.now
    run(world, monkeypatch, 99, 0)
    assert ticks_of(world, "controller") == list(range(100))
    assert 100 * 2 * MS <= world.now - began <= 100 * 2.2 * MS


def test_in_lockstep_nobody_is_late_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(
        build_graph([spec("slow", "t"), spec("fast", "", "t")], 100),
        True,
        lambda node, tick: 35 * MS if node == "slow" else MS,
    )
    run(world, monkeypatch, 9, 10 * MS)
    assert ticks_of(world, "slow") == ticks_of(world, "fast") == list(range(10))
    assert world.missed_by == []


def test_a_slow_tick_is_not_made_up_for_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a")], 100), True, lambda node, tick: 55 * MS if tick == 3 else MS)
    run(world, monkeypatch, 9, 10 * MS)
    began = [at for _, _, at in world.ran]
    gaps = [after - before for before, after in itertools.pairwise(began)]
    assert min(gaps) >= 9.9 * MS
    assert gaps[3] >= 55 * MS


def test_a_replay_that_starts_later_starts_there(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a"), spec("b", rate=30)], 100), True, quick, first_tick=200)
    coordinator = run(world, monkeypatch, 210, 0, first_tick=200)
    assert ticks_of(world, "a") == list(range(200, 211))
    assert ticks_of(world, "b") == [k for k in range(200, 211) if any(-(-j * 10 // 3) == k for j in range(80))]
    assert coordinator.tick == 211


def test_a_tick_in_which_nobody_runs_is_not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a", rate=10)], 100), True, quick)
    run(world, monkeypatch, 45, 0)
    assert ticks_of(world, "a") == [0, 10, 20, 30, 40]


def test_a_compute_node_holds_up_its_own_next_release_only(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph([spec("planner", "plan", rate=20, compute=True), spec("driver", "", "plan")], 100)
    world = World(graph, True, lambda node, tick: 30 * MS if node == "planner" else MS)
    run(world, monkeypatch, 14, 0)
    assert ticks_of(world, "planner") == [0, 5, 10]
    starts = {(name, tick): at for name, tick, at in world.ran}
    assert starts["driver", 4] < starts["planner", 0] + 10 * MS, "it runs beside the planner"
    assert starts["driver", 5] >= starts["planner", 0] + 30 * MS, "what it hears in tick 5 must be there"


def test_a_request_to_stop_ends_the_run_after_its_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(node: str, tick: int) -> int:
        if tick == 7:
            world.control[H_STOP_ASKED] = 8
        return MS

    for lockstep in (True, False):
        world = World(build_graph([spec("a")], 100), lockstep, busy)
        run(world, monkeypatch, None, 10 * MS)
        assert ticks_of(world, "a") == list(range(8))


# Real time.


def test_in_real_time_tick_k_is_released_k_periods_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a", "t"), spec("b", "", "t"), spec("c", rate=30)], 100), False, quick)
    began = world.now
    run(world, monkeypatch, 499, 10 * MS)
    assert ticks_of(world, "a") == ticks_of(world, "b") == list(range(500))
    assert ticks_of(world, "c") == sorted({-(-j * 10 // 3) for j in range(150)})
    for name, tick, at in world.ran:
        assert 0 <= at - began - tick * 10 * MS <= 1.2 * MS, name
    assert world.missed_by == []
    assert world.control[H_SLIPS] == 0


def test_who_misses_a_deadline_is_counted_skips_what_it_missed_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph([spec("slow", "t", deadline=0.005), spec("hearer", "", "t"), spec("other")], 100)
    world = World(graph, False, lambda node, tick: 35 * MS if (node, tick) == ("slow", 2) else MS)
    coordinator = run(world, monkeypatch, 20, 10 * MS)
    # Begun at 20 ms, done at 55 ms: it takes part again in the tick that is released at 60 ms.
    assert ticks_of(world, "slow") == [0, 1, 2, *range(6, 21)]
    assert ticks_of(world, "hearer") == ticks_of(world, "other") == list(range(21))
    assert world.missed_by == [("slow", 2)]
    row = world.layout.node(graph.position("slow"))
    assert world.control[row + N_MISSES] == 1
    assert coordinator.out == frozenset()
    starts = {(name, tick): at for name, tick, at in world.ran}
    due = starts["slow", 2] + 5 * MS
    assert due <= starts["hearer", 2] <= due + MS, "it waits until the deadline, and no longer"
    for tick in range(3, 6):
        assert starts["hearer", tick] - starts["other", tick] < MS, "nobody waits for who is late"
    for tick in range(21):
        assert abs(starts["other", tick] - starts["other", 0] - tick * 10 * MS) < MS, "an unrelated node is not delayed"


def test_who_had_to_wait_for_a_late_node_has_until_its_next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph([spec("slow", "t"), spec("hearer", "", "t")], 100)
    world = World(graph, False, lambda node, tick: 35 * MS if (node, tick) == ("slow", 2) else MS // 5)
    run(world, monkeypatch, 9, 10 * MS)
    assert world.missed_by == [("slow", 2)]
    assert ticks_of(world, "hearer") == list(range(10))


def test_a_node_that_is_always_too_slow_misses_every_time_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("slow")], 100), False, lambda node, tick: 25 * MS)
    run(world, monkeypatch, 29, 10 * MS)
    assert ticks_of(world, "slow") == list(range(0, 30, 3))
    assert world.missed_by == [("slow", tick) for tick in range(0, 30, 3)]


def test_a_machine_that_stood_still_goes_on_without_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a")], 100), False, quick)

    def freeze() -> None:
        world.now += 75 * MS

    world.later(203 * MS, lambda: setattr(world, "frozen", freeze))
    run(world, monkeypatch, 40, 10 * MS)
    began = [at for _, _, at in world.ran]
    assert ticks_of(world, "a") == list(range(41)), "a slip moves the schedule on, it loses no tick"
    assert min(after - before for before, after in itertools.pairwise(began)) >= 9.9 * MS
    assert world.control[H_SLIPS] == 1
    ((tick, behind_ns),) = world.slips
    assert tick == 21, "the one that was due when it stood still"
    assert 60 * MS < behind_ns <= 75 * MS


def test_a_run_in_real_time_ends_when_its_last_tick_is_done_or_due(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(build_graph([spec("a")], 100), False, quick)
    began = world.now
    coordinator = run(world, monkeypatch, 99, 10 * MS)
    assert 0.99 <= (world.now - began) * 1e-9 <= 1.001
    assert coordinator.tick == 100


# Nodes that go.


def test_nobody_waits_for_a_node_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph([spec("a", "t"), spec("b", "", "t")], 100)
    world = World(graph, True, quick)
    coordinator = run(world, monkeypatch, 4, 0)
    world.next[graph.position("a")] = 1 << 60  # its process is gone
    coordinator.absence.take_out(graph.position("a"))
    coordinator.run(9, Pace(0))
    assert ticks_of(world, "a") == list(range(5))
    assert ticks_of(world, "b") == list(range(10))
    world.next[graph.position("a")] = 10
    coordinator.absence.bring_back(graph.position("a"))
    coordinator.run(14, Pace(0))
    assert ticks_of(world, "a") == [*range(5), *range(10, 15)]
    assert ticks_of(world, "b") == list(range(15))
    assert coordinator.out == frozenset()
    assert world.back == [("a", 10)]
