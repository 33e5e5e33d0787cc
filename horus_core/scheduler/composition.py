"""Which nodes a scheduler runs: adding, removing, replaying, changing them before they run, and checking the whole."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Self

from horus_core.engine.placement import Placement
from horus_core.errors import DuplicateNode, InvalidValue
from horus_core.graph.checks import positive_number
from horus_core.graph.node import Node, checked_rate
from horus_core.graph.spec import Graph
from horus_core.processes.shipping import dump_callbacks
from horus_core.scheduler.parts import Parts
from horus_core.scheduler.planning import graph_of, placement_of
from horus_core.scheduler.settings import DEFAULT_TICK_RATE

_log = logging.getLogger("horus")


class Composition(Parts):
    """The nodes of a scheduler."""

    def add(self, node: Node) -> Self:
        """Adds a node; in a replay it takes the place of the recorded node of its name.

        Returns:
            The scheduler, for chaining.

        Raises:
            DuplicateNode: there is one of that name.
        """
        if not isinstance(node, Node):
            raise InvalidValue("what add() got", repr(node), "a horus.Node")
        self._must_be_idle("cannot add a node")
        if node.name in self._nodes:
            raise DuplicateNode(node.name)
        self._replaying.nodes.pop(node.name, None)
        self._nodes[node.name] = node
        return self

    def remove(self, node_name: str) -> Self:
        """Takes a node out, live or replayed, before it runs.

        Raises:
            UnknownNode: there is none of that name.
        """
        self._must_be_idle("cannot remove a node")
        self._spec(node_name)
        self._nodes.pop(node_name, None)
        self._replaying.nodes.pop(node_name, None)
        return self

    def add_replay(self, path: str | os.PathLike[str], priority: int = 0) -> Self:
        """Adds one recorded node, which sends what it sent then, while others run live.

        Args:
            path: the node's file.
            priority: its `order` in the graph; 0 for the one it was recorded with.

        Raises:
            RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
            DuplicateNode: there is one of that name.
        """
        self._must_be_idle("cannot add a replayed node")
        self._replaying.add_node(path, priority, tuple(self._nodes))
        self._mind_tick_rate()
        return self

    def _mind_tick_rate(self) -> None:
        rate = self._replaying.tick_rate
        if rate is not None and self._settings.tick_rate not in (DEFAULT_TICK_RATE, rate):
            _log.warning(
                "tick_rate=%g is ignored: the ticks are those of the recording, %g Hz", self._settings.tick_rate, rate
            )
            self._settings.tick_rate = DEFAULT_TICK_RATE

    def check(self) -> tuple[Graph, Placement]:
        """Checks what would run, as far as that goes without running it.

        Returns:
            The graph, and where its nodes would run.

        Raises:
            EmptyGraph, TopicConflict, InvalidValue: the graph is not sound.
            UnshippableCallable: a callback cannot go to its process.
        """
        graph = graph_of(self._settings, self._nodes, self._replaying)
        for name, node in self._nodes.items():
            if self._settings.execution == "process":
                dump_callbacks(name, node.callbacks)
        return graph, placement_of(self._settings, graph)

    def set_node_rate(self, node_name: str, rate: float) -> Self:
        """Sets a node's rate in Hz, before it runs."""
        self._must_be_idle("cannot change a rate")
        self._spec(node_name)
        if node_name not in self._nodes:
            raise InvalidValue(
                f"node {node_name!r}", "replayed", "a live node; a replayed one keeps its recorded ticks"
            )
        node = self._nodes[node_name]
        node.spec = replace(node.spec, rate=checked_rate(f"node {node_name!r}: rate", rate))
        return self

    def set_tick_budget(self, node_name: str, budget_us: float) -> Self:
        """Sets a node's budget in microseconds, before it runs."""
        self._must_be_idle("cannot change a budget")
        self._spec(node_name)
        budget = positive_number(f"node {node_name!r}: budget", budget_us, "(microseconds)") * 1e-6
        if node_name in self._nodes:
            node = self._nodes[node_name]
            node.spec = replace(node.spec, budget=budget)
        return self

    def add_critical_node(self, node_name: str, timeout_ms: float) -> Self:
        """Marks a node as one that the robot must not be without.

        If it crashes, or is stuck for `timeout_ms`, safe mode begins; if it cannot be brought back, the graph ends.

        Args:
            node_name: a live node.
            timeout_ms: milliseconds.

        Raises:
            UnknownNode: there is no such node.
        """
        self._must_be_idle("cannot mark a node as critical")
        self._spec(node_name)
        seconds = positive_number(f"node {node_name!r}: critical timeout", timeout_ms, "(milliseconds)") / 1e3
        if node_name in self._nodes:
            self._nodes[node_name].spec = replace(self._nodes[node_name].spec, critical=seconds)
        return self
