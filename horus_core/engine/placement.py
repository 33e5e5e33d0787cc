"""Which core each process runs on.

A semaphore hand-off costs ten times less on one core than across two (benchmarks/README.md), so a chain of dependent nodes
and the coordinator share a core; parallel branches and compute nodes go to the others, first to whole cores and then to
second hardware threads, first to those that share a cache with the coordinator; and the recorder keeps off the busiest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from horus_core.errors import InvalidValue
from horus_core.graph.spec import Graph
from horus_core.processes.topology import Topology


@dataclass(frozen=True)
class Placement:
    """Where everybody runs.

    Attributes:
        nodes: core by node position.
        coordinator: the coordinator's core.
        recorder: those that the recorder may use.
        reserved: by node position, whether it has its core to itself.
    """

    nodes: tuple[int, ...]
    coordinator: int
    recorder: tuple[int, ...]
    reserved: tuple[bool, ...] = ()


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


def place(graph: Graph, cores: Sequence[int], topology: Topology | None = None) -> Placement:
    """Places every node of `graph` on one of `cores`, which `core=` of a node overrides.

    Args:
        topology: what the cores share; None: nothing.
    """
    topology = topology or Topology()
    kept = {node.core for node in graph.nodes if node.spin and node.core is not None}
    common = [core for core in cores if core not in kept] or list(cores)
    load = dict.fromkeys(common, 0.0)
    chosen: dict[int, int] = {}
    extended: set[int] = set()

    def cost(core: int) -> tuple[float, bool, int]:
        shared = sum(load.get(other, 0.0) for other in topology.siblings.get(core, ()) if other != core)
        near = chosen.get(0) in topology.caches.get(core, (core,)) or not chosen
        return load[core] + shared / 2, not near, core

    for position, node in enumerate(graph.nodes):
        before = next((each for each in graph.waits[position] if each not in extended), None)
        if node.core is not None:
            core = node.core
        elif before is not None and not node.compute and chosen[before] not in kept:
            core = chosen[before]
            extended.add(before)
        else:
            core = min(common, key=cost)
        chosen[position] = core
        load[core] = load.get(core, 0.0) + node.rate
    first = next((core for core in chosen.values() if core in common), common[0])
    busiest = max(common, key=lambda each: (load[each], each == first))
    recorder = tuple(core for core in common if core != busiest) or tuple(common)
    used = [*chosen.values(), first]
    return Placement(
        tuple(chosen[each] for each in range(len(graph.nodes))),
        first,
        recorder,
        tuple(used.count(chosen[each]) == 1 for each in range(len(graph.nodes))),
    )
