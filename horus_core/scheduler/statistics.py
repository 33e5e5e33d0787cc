"""What a scheduler tells of its run: counters that are read while it runs, and kept when its processes go."""

from __future__ import annotations

import time
from typing import Any

from horus_core.execution.engine import Engine
from horus_core.execution.phase import Phase
from horus_core.inspection.counters import graph_counters, no_counters, node_counters
from horus_core.memory.control import H_RELEASED, H_SAFE_MODE, H_SLIPS


class Statistics:
    """The counters of the current or the last run.

    Attributes:
        graph_rate: Hz; 0.0 before ticks were released.
        degraded: what was asked for and not granted.
    """

    def __init__(self) -> None:
        self.graph_rate = 0.0
        self.degraded: list[str] = []
        self._nodes: dict[str, dict[str, Any]] = {}
        self._graph: dict[str, int] = {}
        self._safe_mode, self._slips = -1, 0
        self._ran_seconds, self._running_since = 0.0, 0.0

    def begin(self, engine: Engine) -> None:
        """Ticks are released from now on."""
        self._running_since, self.graph_rate = time.monotonic(), engine.plan.graph.tick_rate

    def pause(self, engine: Engine) -> None:
        """No more ticks are released for now."""
        self._ran_seconds += time.monotonic() - self._running_since
        self.take(engine)

    def take(self, engine: Engine) -> None:
        """Keeps the counters of the nodes."""
        if engine.phase is Phase.NEW:
            return
        control, layout = engine.control, engine.layout
        self._slips, self._safe_mode = int(control[H_SLIPS]), int(control[H_SAFE_MODE]) - 1
        self.degraded = list(engine.degradations)
        for position, node in enumerate(engine.plan.graph.nodes):
            core = engine.plan.placement.nodes[position]
            self._nodes[node.name] = {**node_counters(control, layout, position), "core": core}

    def end(self, engine: Engine, counted: bool) -> None:
        """The run has ended, and the recorder has counted up to the end; `counted` if it had got as far as to count."""
        self.degraded = list(engine.degradations)
        if counted:
            self._graph = graph_counters(engine.control, engine.layout)

    def node(self, name: str) -> dict[str, Any]:
        """The counters of a node; zeros if it has not run."""
        return self._nodes.get(name) or {**no_counters(), "core": None}

    def progress(self, engine: Engine | None, running: bool) -> dict[str, Any]:
        """How the run goes; cheap, and may be asked from another thread."""
        if engine is not None and engine.phase is not Phase.NEW:
            self._graph = graph_counters(engine.control, engine.layout)
        seconds = self._ran_seconds + (time.monotonic() - self._running_since if running else 0.0)
        return {"tick_rate": self.graph_rate, "seconds": seconds, **self._graph}

    def safety(self, nodes: list[dict[str, Any]]) -> dict[str, Any]:
        """What :meth:`Scheduler.safety_stats` says, from the statistics of all nodes."""
        counted = ("deadline_misses", "budget_overruns", "restarts", "errors_count", "messages_dropped")
        return {
            **{key: sum(node[key] for node in nodes) for key in counted},
            "safe_mode_since": self._safe_mode,
            "late_releases": self._slips,
            "health": {
                node["name"]: "ok" if not node["errors_count"] + node["deadline_misses"] else "degraded"
                for node in nodes
            },
        }


def released(engine: Engine) -> int:
    """The latest tick that was released."""
    return int(engine.control[H_RELEASED])
