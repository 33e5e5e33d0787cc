"""What the parts of a scheduler have in common: its settings, its nodes, what it replays, and its run."""

from __future__ import annotations

from horus_core.engine.pace import Pace
from horus_core.errors import SchedulerBusy, UnknownNode
from horus_core.graph.node import Node
from horus_core.graph.spec import NodeSpec
from horus_core.replay.plan import Replaying
from horus_core.scheduler.run_state import Run
from horus_core.scheduler.settings import Settings
from horus_core.scheduler.statistics import Statistics


class Parts:
    """A scheduler's data; :class:`Scheduler` puts together the classes that work on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._nodes: dict[str, Node] = {}
        self._replaying = Replaying()
        self._pace = Pace()
        self._run = Run()
        self._statistics = Statistics()

    def _must_be_idle(self, what: str) -> None:
        if self._run.engine is not None:
            raise SchedulerBusy(what, f"{self._run.state.value}; do it before the first tick, or after stop()")

    def _spec(self, node_name: str) -> NodeSpec:
        if node_name in self._nodes:
            return self._nodes[node_name].spec
        if node_name in self._replaying.nodes:
            return self._replaying.nodes[node_name][1]
        raise UnknownNode("the scheduler", node_name, tuple(self.get_node_names()))

    def get_node_names(self) -> list[str]:
        """The names of all nodes."""
        return [*self._replaying.nodes, *self._nodes]
