"""Who runs in a tick, who begins it, who ends it, and when each is due."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from horus_core.graph.spec import Graph
from horus_core.memory.control import N_EXCUSED, N_FINISHED, Layout

_PATTERN_LIMIT = 4096  # ticks after which the pattern of active nodes repeats, up to which it is kept


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
        self._with_safe_state = frozenset(each for each, node in enumerate(graph.nodes) if node.safe_state)
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

    def of_safe_mode(self, tick: int, out: frozenset[int]) -> Pattern:
        """The pattern of the tick with which safe mode begins: every ``safe_state`` runs in it, and nobody waits."""
        pattern = self.without(tick, out, self._with_safe_state)
        return replace(pattern, sources=pattern.active)

    def next(self, tick: int) -> int:
        """The first tick after `tick` in which any node runs."""
        return tick + 1 if self._always else min(schedule.next(tick) for schedule in self._graph.schedules)
