"""Which core each process runs on.

A semaphore hand-off costs ten times less on one core than across two (benchmarks/README.md), so a chain of dependent nodes
and the coordinator share a core; parallel branches and compute nodes go to the others, and the recorder keeps off the
busiest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from horus_core.errors import InvalidValue
from horus_core.graph import Graph


@dataclass(frozen=True)
class Placement:
    """Cores by node position, of the coordinator, and those that the recorder may use."""

    nodes: tuple[int, ...]
    coordinator: int
    recorder: tuple[int, ...]


def usable_cores(cores: Sequence[int] | None) -> list[int]:
    """The cores that this process may use, or `cores`.

    Raises:
        InvalidValue: one of `cores` is not usable here.
    """
    there = sorted(os.sched_getaffinity(0))
    for core in cores or ():
        if core not in there:
            raise InvalidValue("cores", repr(list(cores or ())), f"cores out of {there}")
    return sorted(set(cores)) if cores else there


def place(graph: Graph, cores: Sequence[int]) -> Placement:
    """Places every node of `graph` on one of `cores`, which `core=` of a node overrides."""
    load = dict.fromkeys(cores, 0.0)
    chosen: dict[int, int] = {}
    extended: set[int] = set()
    for position, node in enumerate(graph.nodes):
        before = next((each for each in graph.waits[position] if each not in extended), None)
        if node.core is not None:
            core = node.core
        elif before is not None and not node.compute:
            core = chosen[before]
            extended.add(before)
        else:
            core = min(load, key=lambda each: (load[each], each))
        chosen[position] = core
        load[core] = load.get(core, 0.0) + node.rate
    coordinator = chosen[0] if chosen[0] in cores else cores[0]
    busiest = max(cores, key=lambda each: (load[each], each == coordinator))
    recorder = tuple(core for core in cores if core != busiest) or tuple(cores)
    return Placement(tuple(chosen[each] for each in range(len(graph.nodes))), coordinator, recorder)
