"""What a scheduler replays, and how: sessions, replayed nodes, the range of ticks, speed, overrides."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from horus_core.engine.run_options import RunOptions
from horus_core.errors import DuplicateNode, InvalidValue, UnknownNode, UnknownTopic, closest
from horus_core.graph.spec import Graph, NodeSpec

if TYPE_CHECKING:
    from horus_core.engine.past import Past
    from horus_core.recording.reading.reader import Session

_log = logging.getLogger("horus")


@dataclass
class Replaying:
    """The replay side of a scheduler. Only what it is asked for imports pyarrow.

    Attributes:
        session: the one whose ticks, time and seed the graph has; None if nothing is replayed.
        nodes: per replayed node, its session and its spec.
        start, stop: the range of ticks as asked for.
        last_tick: the last tick of the run that was prepared.
        speed: 1 as recorded, 0 as fast as possible; None if not set.
        loop: start over behind the last tick.
        cold: live nodes start at `start` with nothing behind them, instead of living through the ticks before.
        free: live nodes run in all of their ticks, whatever the recording says of them.
        overrides: per (node, topic), what to send instead.
        only: the topics that are replayed; None for all.
    """

    session: Session | None = None
    nodes: dict[str, tuple[Session, NodeSpec]] = field(default_factory=dict)
    start: int | None = None
    stop: int | None = None
    last_tick: int | None = None
    speed: float | None = None
    loop: bool = False
    cold: bool = False
    free: bool = False
    overrides: dict[tuple[str, str], Any] = field(default_factory=dict)
    only: frozenset[str] | None = None

    @property
    def tick_rate(self) -> float | None:
        """The rate of the recording's ticks in Hz."""
        return None if self.session is None else self.session.graph.tick_rate

    def add_session(self, path: str | os.PathLike[str]) -> None:
        """Replays every node of a session, and what came into it from outside."""
        from horus_core.replay import source

        session = source.open_scheduler_file(path)
        source.check_range(session, None, None)
        self._follow(session)
        for record in session.graph.nodes:
            self.nodes[record.name] = (session, source.replayed_spec(record, session.graph))
        external = source.external_spec(session)
        if external is not None:
            self.nodes[external.name] = (session, external)

    def add_node(self, path: str | os.PathLike[str], priority: int, taken: Sequence[str]) -> None:
        """Replays one node; `taken` are the names of the live ones."""
        from horus_core.replay import source

        session, name = source.open_node_file(path)
        if name in taken or name in self.nodes:
            raise DuplicateNode(name)
        self._follow(session)
        record = session.nodes.get(name)
        spec = source.replayed_spec(record, session.graph) if record else source.external_spec(session)
        if spec is not None:
            self.nodes[name] = (session, replace(spec, order=priority) if priority else spec)

    def _follow(self, session: Session) -> None:
        rate = session.graph.tick_rate
        if self.tick_rate not in (None, rate):
            raise InvalidValue(
                f"the tick rate of session {session.name!r}",
                f"{rate:g} Hz",
                f"{self.tick_rate:g} Hz, as the other recording",
            )
        self.session = self.session or session

    def set_range(self, what: str, tick: Any) -> None:
        """Sets ``start_at_tick`` or ``stop_at_tick``."""
        if isinstance(tick, bool) or not isinstance(tick, int) or tick < 0:
            raise InvalidValue(f"the tick of {what}", repr(tick), "a whole number, 0 or more")
        if what == "start_at_tick":
            self.start = tick
        else:
            self.stop = tick
        if self.session is not None:
            from horus_core.replay.source import check_range

            check_range(self.session, self.start, self.stop)

    def set_override(self, node: str, topic: str, value: Any) -> None:
        """Replaces what a replayed node sends on a topic."""
        if node not in self.nodes:
            raise UnknownNode("the replay", node, tuple(self.nodes))
        topics = tuple(each.name for each in self.nodes[node][1].pubs)
        if topic not in topics:
            raise UnknownTopic(node, "send", topic, topics)
        self.overrides[node, topic] = value

    def set_topics(self, topics: Sequence[str]) -> None:
        """Replays these topics only."""
        known = sorted({topic.name for _, spec in self.nodes.values() for topic in spec.pubs})
        for topic in topics:
            if topic not in known:
                raise InvalidValue("the topic", f"{topic!r}{closest(topic, known)}", f"one of {', '.join(known)}")
        self.only = frozenset(topics)

    def period_ns(self, tick_rate: float, paced: bool) -> float:
        """The time between two releases in ns; 0 for as fast as possible."""
        if self.session is None or self.speed is None:
            return 1e9 / tick_rate if paced else 0.0
        return 1e9 / tick_rate / self.speed if self.speed else 0.0

    def specs(self, live: Sequence[NodeSpec]) -> list[NodeSpec]:
        """All nodes; those of the recording in its order, so that the graph is the one that was recorded."""
        specs = [*(self._heard(spec) for _, spec in self.nodes.values()), *live]
        if self.session is None:
            return specs
        known = [node.name for node in self.session.graph.nodes]
        return sorted(specs, key=lambda spec: known.index(spec.name) if spec.name in known else len(known))

    def _heard(self, spec: NodeSpec) -> NodeSpec:
        """A replayed node without the topics that stay silent."""
        if self.only is None:
            return spec
        return replace(spec, pubs=tuple(topic for topic in spec.pubs if topic.name in self.only))

    def _pasts(self, graph: Graph, live: Sequence[str], loop: tuple[int, int] | None) -> dict[str, Past]:
        """What the replayed nodes did, each by its own session, and the nodes `live`."""
        from horus_core.replay import pasts

        owners = {node.name: self.nodes[node.name][0] for node in graph.nodes if node.name in self.nodes}
        if self.session is not None:
            owners.update(dict.fromkeys(live, self.session))
        found: dict[str, Past] = {}
        for session in {id(each): each for each in owners.values()}.values():
            mine = [name for name, owner in owners.items() if owner is session]
            found.update(pasts.pasts_of(session, graph, mine, loop))
        return found

    def prepare(
        self, graph: Graph, live: Sequence[str], options: RunOptions
    ) -> tuple[RunOptions, dict[str, Any], dict[str, Any]]:
        """The options with what the recording says, the source of each replayed node, and the side inputs of the live ones.

        Raises:
            InvalidValue: a live node is faster than the recording's ticks, or an override is not what its topic carries.
            ReplayRange: the recording does not have the range.
        """
        if self.session is None:
            self.last_tick = None
            return options, {}, {}
        from horus_core.replay import pasts, samples, source
        from horus_core.replay.override_shape import check_overrides

        known = self.session.graph
        if graph.tick_rate > known.tick_rate:
            fast = max((node for node in graph.nodes if not node.replayed), key=lambda node: node.rate)
            most = f"at most {known.tick_rate:g} Hz, the rate of the recording's ticks"
            raise InvalidValue(f"node {fast.name!r}: rate", f"{fast.rate:g} Hz", most)
        start, self.last_tick = source.check_range(self.session, self.start, self.stop)
        first = start if self.cold or not live else self.session.held_ticks()[0]
        held = {name: session for name, (session, _) in self.nodes.items()}
        check_overrides(self.overrides, held, graph)
        sources = source.sources_for(held, graph, first, start, self.last_tick, self.loop, self.overrides)
        loop = (start, self.last_tick) if self.loop else None
        prepared = replace(
            options,
            first_tick=first,
            lockstep=True,
            deterministic=True,
            seed=known.seed,
            epoch_ns=known.epoch_ns,
            range_start=start,
            pasts=self._pasts(graph, [] if self.free else live, loop),
            backs=pasts.backs_of(self.session, [*held, *live]),
        )
        recorded = samples.samples_of(self.session, graph, live, first, loop)
        return prepared, dict(sources), recorded
