"""The semaphores of a graph: they only wake; whoever wakes looks at the words."""

from __future__ import annotations

from collections.abc import Callable

import posix_ipc

from horus_core.memory.shared import SharedMemory


class Semaphores:
    """A graph's semaphores, as its supervisor has them.

    Args:
        memory: the graph's.
        nodes: how many it has.
        tickets: whether time is real, so that each release of a node issues a ticket.

    Attributes:
        post: per node, wakes it.
        tickets: per node, its tickets; empty in lockstep.
        done: what nodes wake the coordinator with.
    """

    def __init__(self, memory: SharedMemory, nodes: int, tickets: bool) -> None:
        self.post: list[Callable[[], None]] = [
            memory.semaphore(f"go{each}", create=True).release for each in range(nodes)
        ]
        self.tickets: list[posix_ipc.Semaphore] = (
            [memory.semaphore(f"ticket{each}", create=True) for each in range(nodes)] if tickets else []
        )
        self.done: posix_ipc.Semaphore = memory.semaphore("done", create=True)

    def void_tickets(self, position: int) -> None:
        """Takes back the tickets that a process of `position` has not taken."""
        if self.tickets:
            try:
                while True:
                    self.tickets[position].acquire(0)
            except posix_ipc.BusyError:
                return
