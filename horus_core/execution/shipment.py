"""What travels to the processes of a graph, pickled once: the graph, and per node its callbacks or its source."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from horus_core.execution.plan import Plan
from horus_core.processes.shipping import dump, dump_callbacks, large_parts

_LARGE = 1 << 20  # bytes of callbacks that are worth a warning
_log = logging.getLogger("horus")


@dataclass(frozen=True)
class Shipment:
    """The graph; per node its callbacks, its source if it is replayed, and its side inputs if they were recorded."""

    graph: bytes
    callbacks: list[bytes]
    sources: list[bytes | None]
    recorded: list[bytes | None]


def ship(plan: Plan) -> Shipment:
    """Pickles what the processes of `plan` need.

    Raises:
        UnshippableCallable: a callback cannot go to another process.
    """
    callbacks, sources = [], []
    for node in plan.graph.nodes:
        source = plan.sources.get(node.name)
        given = dict(plan.callbacks[node.name]) if source is None else {}
        callbacks.append(dump_callbacks(node.name, given))
        sources.append(None if source is None else dump(source))
        if len(callbacks[-1]) > _LARGE:
            for path, size in large_parts(given):
                _log.warning(
                    "node %r carries %d bytes to its process in %s; load them in init instead", node.name, size, path
                )
    read = [plan.recorded.get(node.name) for node in plan.graph.nodes]
    return Shipment(dump(plan.graph), callbacks, sources, [None if each is None else dump(each) for each in read])
