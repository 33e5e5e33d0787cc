"""What is in a session: nodes, topics, ticks, what happened, what is missing and what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from horus_core.recording.format.names import file_stem
from horus_core.recording.reading.counting import Count, Incident, NodeSummary, TopicSummary
from horus_core.recording.reading.loss import Hole, NodeLoss
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.told import Told, told_by

__all__ = [
    "Hole",
    "Incident",
    "NodeLoss",
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
        state: "complete"; "partial" (something is missing); "running"; "recovered" (it ended without being closed).
            The content of batches is not looked at.
        lost: by node, how many messages are known to be missing; '' stands for all nodes.
        failed: whether a failure or a kill ended the run.
        created: when, ISO 8601; `created_ns` in ns since 1970.
        duration: of the graph's time, in seconds.
        ticks: how many are held.
        first_tick: the first of them.
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
    first_tick: int
    nodes: list[str]
    messages: int | None
    lost: dict[str, int]
    size: int
    parts: int


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All about a session.

    Attributes:
        name, created, created_ns, duration, size: as in :class:`SessionOverview`.
        state: as there; "complete" only where all that was sent is there, by what all files tell.
        tick_rate: of the graph; first_tick, last_tick, ticks: what of it is recorded.
        deterministic, seed: of the graph.
        nodes, topics: in the graph's order.
        messages: how many are there.
        lost: how many are known to be missing, by what all files tell.
        counted: whether that is all; if not, nothing that is left tells how many more may be missing.
        losses: what is missing, by node.
        holes: where messages are missing; at most 100 per topic.
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
    counted: bool
    losses: list[NodeLoss]
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
        """What is missing, in a few words: ``lost 0 of 1,234 messages``. Says 0 only where that was counted."""
        if not self.counted and not self.lost:
            return f"none missing between others; what came after tick {self.last_tick} was not counted"
        least = "" if self.counted else "at least "
        so_far = " so far" if self.state == "running" else ""
        return f"lost {least}{self.lost:,} of {self.messages + self.lost:,} messages{so_far}"


def overview(session: Session, count_messages: bool = False) -> SessionOverview:
    """A session in a line, from its header, its events and what batches say of themselves: no payload is read.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.
        count_messages: also look at every batch, some 10 µs each.

    >>> overview(find_session("monday")).ticks  # doctest: +SKIP
    500
    """
    told, rows = told_by(session), dict[str, int]()
    if count_messages:
        rows = {node: sum(seal.rows for seal in session.marks(file_stem(node))) for node in session.senders}
    lost = _known_lost(session, told, rows)
    whole = told.is_whole and not session.damage and not session.misplaced() and not lost
    first_tick = session.first_tick()
    ticks = max(session.last_tick() - first_tick + 1, 0)
    return SessionOverview(
        name=session.name,
        state=session.state if whole or session.state != "complete" else "partial",
        failed=has_failed(session),
        created=_iso(session.header.created_ns),
        created_ns=session.header.created_ns,
        duration=ticks / session.graph.tick_rate,
        ticks=ticks,
        first_tick=first_tick,
        nodes=list(session.nodes),
        messages=sum(rows.values()) if count_messages else None,
        lost=lost,
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
        state=_state(session, count),
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
        lost=sum(loss.messages for loss in count.losses),
        counted=count.counted,
        losses=count.losses,
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


def _known_lost(session: Session, told: Told, rows: dict[str, int]) -> dict[str, int]:
    """By node what is missing, by what the events tell and, where they were counted, by the rows that are there."""
    lost = {node: messages for node, messages in told.unrecorded.items() if messages and told.sent}
    if not told.trimmed:
        lost |= told.lost
    if told.sent and session.begins and not told.trimmed:
        for node, there in rows.items():
            missing = sum(told.sent.get(node, {}).values()) - there
            lost |= {node: missing} if missing > 0 else {}
    return lost


def _state(session: Session, count: Count) -> str:
    whole = count.counted and not count.losses and not count.damage
    return session.state if whole or session.state != "complete" else "partial"


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
