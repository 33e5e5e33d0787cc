"""Everything about a run that is settled before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from horus_core.engine.placement import Placement
from horus_core.engine.run_options import RunOptions
from horus_core.graph.spec import Graph
from horus_core.recording.writing.request import RecordingRequest

Output = Callable[[str, str], None]  # node, line


def print_line(node: str, line: str) -> None:
    """Prints a node's line with its name before it."""
    print(f"[{node}] {line}", flush=True)


@dataclass(frozen=True)
class Plan:
    """A run, planned.

    Attributes:
        callbacks: per node name, its callbacks by role.
        sources: per replayed node, its source; shipped with cloudpickle.
        recorded: per live node that was recorded with side inputs, what it read; shipped with cloudpickle.
        watchdog: seconds for nodes that do not give their own, 0 for none.
        max_misses: missed deadlines of one node after which safe mode begins, None for never.
        blackbox_mb: size of the flight recorder, 0 for none.
    """

    name: str
    graph: Graph
    callbacks: Mapping[str, dict[str, Any]]
    sources: Mapping[str, Any]
    recorded: Mapping[str, Any]
    options: RunOptions
    placement: Placement
    recording: RecordingRequest | None = None
    rt: bool = False
    watchdog: float = 0.0
    max_misses: int | None = None
    blackbox_mb: float = 0
    script: str = ""
    output: Output = print_line
