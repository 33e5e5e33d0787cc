"""What a graph needs of the machine before its first process is started: shared memory, and open files."""

from __future__ import annotations

import os

from horus_core.errors import SharedMemoryFull
from horus_core.execution.events import EVENTS_CAPACITY
from horus_core.graph.spec import Graph
from horus_core.memory.control import Layout
from horus_core.memory.lane import power_of_two
from horus_core.memory.segment import ENTRY_BYTES, FIRST_DATA, HEADER_BYTES
from horus_core.memory.shared import SHM
from horus_core.memory.tick_rows import TRACE_CAPACITY
from horus_core.processes.descriptors import mind_open_files

_PAGE = 4096  # bytes that a name in /dev/shm takes at least, a semaphore's too


def shared_memory_needed(graph: Graph, layout: Layout, lockstep: bool) -> int:
    """Bytes that a graph has in /dev/shm when it has started; lanes grow later, if messages are large or readers slow."""
    capacities = [lane.capacity for lane in graph.lanes if not lane.external]
    capacities += [TRACE_CAPACITY] * layout.nodes + [EVENTS_CAPACITY]
    semaphores = layout.nodes * (1 if lockstep else 2) + 1
    segments = [layout.words * 8, *map(_first_segment, capacities)]
    return sum(-(-size // _PAGE) * _PAGE for size in segments) + semaphores * _PAGE


def _first_segment(capacity: int) -> int:
    """Bytes of a lane's first segment, as its writer makes it."""
    return HEADER_BYTES + power_of_two(max(2 * capacity, 64)) * ENTRY_BYTES + FIRST_DATA


def mind_needs(graph: Graph, layout: Layout, lockstep: bool, recorded: bool) -> None:
    """Looks whether the machine has what a graph needs to start.

    Args:
        graph, layout: the graph, and the layout of its memory.
        lockstep: whether it runs in lockstep.
        recorded: whether it is recorded.

    Raises:
        SharedMemoryFull: /dev/shm has less room.
        TooFewFiles: a process may open fewer files.
    """
    mind_open_files(layout.nodes, recorded)
    needed, room = shared_memory_needed(graph, layout, lockstep), os.statvfs(SHM)
    available = room.f_bavail * room.f_frsize
    if room.f_blocks and available < needed:  # a tmpfs without a size has no blocks
        raise SharedMemoryFull("this graph", needed, available)
