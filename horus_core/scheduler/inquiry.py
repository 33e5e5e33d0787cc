"""What a scheduler can be asked: its state, its nodes, their counters, what the machine grants."""

from __future__ import annotations

from typing import Any

from horus_core.graph.node import Node
from horus_core.scheduler.parts import Parts
from horus_core.scheduler.statistics import released


class Inquiry(Parts):
    """Questions to a scheduler; each may be asked from another thread."""

    def status(self) -> str:
        """ "idle", "running", "stepping" (between two calls of tick_once or tick_for) or "stopped"."""
        return self._run.state.value

    def current_tick(self) -> int:
        """How many ticks have been released: the number of the next tick."""
        engine = self._run.engine  # another thread may ask while the run ends
        if engine is not None and self._run.running:
            return released(engine) + 1
        return self._run.next_tick

    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._run.running

    @property
    def last_replay_tick(self) -> int | None:
        """The last tick of the replay that runs, None if nothing is replayed or none has started."""
        return self._replaying.last_tick

    def is_recording(self) -> bool:
        """Whether it records: while it runs if a recording is made, otherwise whether the next run will be recorded."""
        return bool(self._settings.wanted_session)

    def is_replaying(self) -> bool:
        """Whether any node is replayed."""
        return bool(self._replaying.nodes)

    def scheduler_name(self) -> str:
        """The graph's name."""
        return self._settings.name

    def has_node(self, node_name: str) -> bool:
        """Whether there is a node of that name, live or replayed."""
        return node_name in self._nodes or node_name in self._replaying.nodes

    def get_node_count(self) -> int:
        """The number of nodes."""
        return len(self._replaying.nodes) + len(self._nodes)

    def get_all_nodes(self) -> list[dict[str, Any]]:
        """What :meth:`get_node_stats` says, for every node."""
        return [self.get_node_stats(name) for name in self.get_node_names()]

    @property
    def live_nodes(self) -> list[Node]:
        """The nodes that are not replayed."""
        return list(self._nodes.values())

    def get_node_info(self, node_name: str) -> int | None:
        """A node's `order`, None if there is no such node."""
        return self._spec(node_name).order if self.has_node(node_name) else None

    def get_node_stats(self, node_name: str) -> dict[str, Any]:
        """Counters of one node, of the current or the last run.

        Returns:
            name, order, rate_hz, priority, pid, core, state, total_ticks, successful_ticks, failed_ticks, errors_count,
            deadline_misses, budget_overruns, restarts, messages_sent, bytes_sent, messages_received, messages_dropped, and
            busy times in milliseconds: avg_, min_, max_, last_, p50_ and p99_tick_duration_ms.

        Raises:
            UnknownNode: there is no such node.
        """
        spec = self._spec(node_name)
        if self._run.engine is not None and self._run.running:
            self._statistics.take(self._run.engine)
        facts = self._statistics.node(node_name)
        return {"name": node_name, "order": spec.order, "rate_hz": spec.rate, "priority": spec.priority, **facts}

    def progress(self) -> dict[str, Any]:
        """How the current or the last run goes; cheap, and may be asked from another thread.

        Returns:
            tick (the next one), catching_up_to (the tick that a replay starts at, while it lives through those before; else
            None), tick_rate, seconds (of running), deadline_misses, restarts, errors, messages_dropped,
            late_releases, recorded_bytes, recorded_lost (messages), recorder_backlog (bytes) and recording_ended (whether
            the recorder has given up).
        """
        run = self._run
        return {
            "tick": self.current_tick(),
            "catching_up_to": self._catching_up_to(),
            **self._statistics.progress(run.engine, run.running),
        }

    def _catching_up_to(self) -> int | None:
        engine = self._run.engine
        start = None if engine is None else engine.plan.options.start
        return start if self._run.running and start is not None and self.current_tick() < start else None

    def safety_stats(self) -> dict[str, Any]:
        """Deadline misses, budget overruns, restarts, errors and late releases of the whole graph, and whether each is 0."""
        return {"state": self._run.state.value, **self._statistics.safety(self.get_all_nodes())}

    def capabilities(self) -> dict[str, Any]:
        """What this machine grants: cores, real-time priority, memory lock, shared memory."""
        from horus_core.processes.machine import capabilities

        return capabilities()

    def has_full_rt(self) -> bool:
        """Whether real-time priority and memory lock are both granted."""
        found = self.capabilities()
        return bool(found["realtime_priority"] and found["memory_lock"])

    def degradations(self) -> list[str]:
        """What was asked for and not granted in the current or the last run, one line each."""
        return list(self._run.engine.degradations) if self._run.engine is not None else list(self._statistics.degraded)
