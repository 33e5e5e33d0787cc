"""What a missed deadline leads to: an event, a warning once per node, and what the node's ``on_miss`` says."""

from __future__ import annotations

import logging
from collections.abc import Callable

from horus_core.engine.safe_mode import SafeMode
from horus_core.errors import NodeFailed
from horus_core.execution.events import Events
from horus_core.execution.plan import Plan
from horus_core.memory.control import N_MISSES, Layout

_log = logging.getLogger("horus")


class Misses:
    """Applies ``on_miss``.

    Args:
        plan, control, layout, events, safe_mode: the graph's.
        end: ends the graph with a failure.
    """

    def __init__(
        self,
        plan: Plan,
        control: memoryview,
        layout: Layout,
        events: Events,
        safe_mode: SafeMode,
        end: Callable[[NodeFailed], None],
    ) -> None:
        self._plan, self._control, self._layout = plan, control, layout
        self._events, self._safe_mode, self._end = events, safe_mode, end
        self._warned: set[int] = set()

    def missed(self, position: int, tick: int) -> None:
        """`position` did not finish `tick` by its deadline."""
        graph = self._plan.graph
        node, limit = graph.nodes[position], f"{graph.deadlines[position] * 1e3:g} ms"
        self._events.emit("miss", position, tick, deadline=graph.deadlines[position])
        if node.on_miss == "warn" and position not in self._warned:
            self._warned.add(position)
            self._warn(position, tick, limit)
        misses, most = int(self._control[self._layout.node(position) + N_MISSES]), self._plan.max_misses
        if node.on_miss == "stop":
            self._end(NodeFailed(node.name, tick, f"missed its deadline of {limit}", ""))
        elif node.on_miss == "safe_mode":
            self._safe_mode.enter(f"node {node.name!r} missed its deadline in tick {tick}")
        elif most is not None and misses > most:
            self._safe_mode.enter(f"node {node.name!r} missed more than {most} deadlines")

    def _warn(self, position: int, tick: int, limit: str) -> None:
        graph = self._plan.graph
        node = graph.nodes[position]
        faster = [graph.nodes[each].name for each in graph.feeds[position] if graph.nodes[each].rate > node.rate]
        _log.warning(
            "node %r missed its deadline of %s in tick %d%s; compute=True or a longer deadline= helps "
            "(later misses are counted, not printed)",
            node.name,
            limit,
            tick,
            f"; {faster[0]!r} runs faster and waits for it" if faster else "",
        )
