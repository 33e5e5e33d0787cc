"""What is in a session: nodes, topics, ticks, what happened, what is missing and what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from horus_core.recording.format.names import file_stem
from horus_core.recording.reading.counting import Count, Incident, NodeSummary, TopicSummary
from horus_core.recording.reading.loss import Hole
from horus_core.recording.reading.reader import Session

__all__ = [
    "Hole",
    "Incident",
    "NodeSummary",
    "SessionOverview",
    "SessionSummary",
    "TopicSummary",
    "overview",
    "summarize",
]


class SessionOverview(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a line.

    Attributes:
        state: "complete", "running" or "recovered".
        failed: whether a failure or a kill ended the run.
        created: when, ISO 8601; `created_ns` in ns since 1970.
        duration: of the graph's time, in seconds.
        ticks: how many were released.
        nodes: their names.
        messages: how many were recorded, if they were counted; damage inside a batch is not looked for.
        size: bytes on disk, logs and script included.
        parts: into how many sets of files it is split.
    """

    name: str
    state: str
    failed: bool
    created: str
    created_ns: int
    duration: float
    ticks: int
    nodes: list[str]
    messages: int | None
    size: int
    parts: int


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All about a session.

    Attributes:
        name, state, created, created_ns, duration, size: as in :class:`SessionOverview`.
        tick_rate: of the graph; first_tick, last_tick, ticks: what of it is recorded.
        deterministic, seed: of the graph.
        nodes, topics: in the graph's order.
        messages: how many are there.
        lost: how many are missing, by the sequence numbers and by what other nodes could receive; holes tells where.
        holes: at most 100 per topic.
        not_recorded: topics that were left out on purpose.
        events: how often what happened, all nodes together.
        incidents: crashes, restarts, gaps and the like; the first 1,000.
        damage: what could not be read.
        repaired: whether "horus record repair" has mended it.
        script, script_sha256, replay_of, host, machine, versions: of the run.
    """

    name: str
    state: str
    created: str
    created_ns: int
    duration: float
    size: int
    tick_rate: float
    first_tick: int
    last_tick: int
    ticks: int
    deterministic: bool
    seed: int
    nodes: list[NodeSummary]
    topics: list[TopicSummary]
    messages: int
    lost: int
    holes: list[Hole]
    not_recorded: list[str]
    events: dict[str, int]
    incidents: list[Incident]
    damage: list[str]
    repaired: bool
    script: str
    script_sha256: str
    replay_of: str
    host: str
    machine: str
    versions: dict[str, str]

    @property
    def loss(self) -> str:
        """What is missing, in a few words: ``lost 0 of 1,234 messages``."""
        return f"lost {self.lost:,} of {self.messages + self.lost:,} messages"


def overview(session: Session, count_messages: bool = False) -> SessionOverview:
    """A session in a line, from its header, its events and what batches say of themselves: no payload is read.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.
        count_messages: also look at every batch, some 10 µs each.

    >>> overview(find_session("monday")).ticks  # doctest: +SKIP
    500
    """
    messages = None
    if count_messages:
        messages = sum(seal.rows for node in session.senders for seal in session.marks(file_stem(node)))
    ticks = max(session.last_tick() - session.first_tick() + 1, 0)
    return SessionOverview(
        name=session.name,
        state=session.state,
        failed=has_failed(session),
        created=_iso(session.header.created_ns),
        created_ns=session.header.created_ns,
        duration=ticks / session.graph.tick_rate,
        ticks=ticks,
        nodes=list(session.nodes),
        messages=messages,
        size=session.size(),
        parts=len({session.part_of(path) for path in session.paths()}),
    )


def summarize(session: Session) -> SessionSummary:
    """All about a session. Reads every file once, in constant memory.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.

    >>> summarize(find_session("monday")).loss  # doctest: +SKIP
    'lost 0 of 1,234,567 messages'
    """
    count = Count(session)
    header, graph = session.header, session.graph
    first_tick = session.first_tick()
    ticks = max(count.last_tick - first_tick + 1, 0)
    duration = ticks / graph.tick_rate
    return SessionSummary(
        name=session.name,
        state=session.state,
        created=_iso(header.created_ns),
        created_ns=header.created_ns,
        duration=duration,
        size=session.size(),
        tick_rate=graph.tick_rate,
        first_tick=first_tick,
        last_tick=count.last_tick,
        ticks=ticks,
        deterministic=graph.deterministic,
        seed=graph.seed,
        nodes=count.nodes(),
        topics=count.topics(duration),
        messages=sum(lane.messages for lane in count.lanes.values()),
        lost=sum(lane.lost for lane in count.lanes.values()),
        holes=[hole for lane in count.lanes.values() for hole in lane.holes],
        not_recorded=sorted({topic for _, topic in session.left_out}),
        events=dict(count.events),
        incidents=count.incidents,
        damage=[str(each) for each in count.damage],
        repaired="repair" in count.events,
        script=header.script,
        script_sha256=header.script_sha256,
        replay_of=header.replay_of,
        host=header.host,
        machine=header.machine,
        versions=header.versions,
    )


def _iso(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return ""


def has_failed(session: Session) -> bool:
    """Whether a failure or a kill ended the run: its end says so, or it has a beginning and no end."""
    seen, reasons = set(), []
    for batch in session.batches("events", []):
        names = batch.column("event").to_pylist()
        seen.update(names)
        reasons += [batch.column("detail")[row].as_py() for row, name in enumerate(names) if name == "end"]
    killed = session.state != "running" and not reasons and not seen.isdisjoint(("start", "repair"))
    return session.state == "recovered" or killed or any('"failure"' in reason for reason in reasons)
