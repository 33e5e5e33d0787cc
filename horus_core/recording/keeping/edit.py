"""Makes sessions out of sessions: a range of ticks of one, or the nodes of two. Renames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.errors import OutputFailed, RecordingExists, ReplayRange, SchedulerBusy, SessionsConflict
from horus_core.recording.format.header import GraphRecord, Header, LaneRecord
from horus_core.recording.format.names import file_stem
from horus_core.recording.format.schemas import TICKS
from horus_core.recording.keeping.kept import Kept, senders
from horus_core.recording.keeping.new_session import NewFile, keep_folders, new_session
from horus_core.recording.keeping.sessions import check_name, recordings_folder
from horus_core.recording.reading.counting import likely_losses
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.latched import last_before, latched_topics
from horus_core.recording.reading.messages import within
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.ticks import tick_range


class EditReport(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was made of others.

    Attributes:
        session: its name; folder: where it is.
        first_tick, last_tick: what it holds.
        messages: how many.
        damage: what could not be read, and so is not in it.
    """

    session: str
    folder: str
    first_tick: int
    last_tick: int
    messages: int
    damage: list[str]


def trim(
    session: Session,
    name: str,
    start_tick: int | None = None,
    stop_tick: int | None = None,
    nodes: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
) -> EditReport:
    """Makes a session of a range of ticks, and of some nodes and topics: the jobs of these ticks and what they sent, with logs
    and script.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.
        name: of the new one, see :func:`horus_core.recording.keeping.sessions.check_name`.
        start_tick, stop_tick: the first and the last tick; by default those of the session. See :func:`tick_at`.
        nodes: keep these only, and what they sent; by default all. In a name, ``*`` and ``?`` stand for any letters.
        topics: keep what was sent on these only; patterns as for `nodes`.

    Raises:
        SchedulerBusy: it is being recorded.
        UnknownNode, InvalidValue: it has no such node, or no such topic.
        ReplayRange: it does not hold these ticks.
        InvalidValue, RecordingExists, OutputFailed: the new session cannot have that name, or cannot be written.

    >>> trim(find_session("monday"), "the_bug", 1000, 1400).messages  # doctest: +SKIP
    802
    """
    _refuse_running(session, "trim")
    first, last = session.first_tick(), session.last_tick()
    start, stop = first if start_tick is None else start_tick, last if stop_tick is None else stop_tick
    if not first <= start <= stop <= last:
        raise ReplayRange(f"cannot trim {session.name!r} to ticks {start} to {stop}", first, last)
    kept = Kept(session, nodes, topics)
    graph = kept.graph(start)
    damage, messages = list(session.damage), 0
    with new_session(name, session.header, graph) as (folder, header):
        for kind, node in kept.files():
            file = NewFile(folder, header, kind, node)
            if node:
                file.begin_with(last_before(session.node_files(node), latched_topics(session.graph, node), start))
            for batch in session.batches(file_stem(node) if node else kind, damage, start, stop):
                file.add(kept.rows(_rows_within(batch, start, stop), kind))
            messages += file.rows if node else 0
            if kind == "events":
                lacks = _uncounted([session], damage)
                file.add_event(stop, "trim", {"session": session.name, "first": start, "last": stop, **lacks})
                file.add_event(stop, "end", {"reason": "trim"})
            file.close()
        keep_folders(session, folder)
    return _report(header, start, stop, messages, damage)


def tick_at(session: Session, seconds: float, last: bool = False) -> int:
    """The tick `seconds` of the graph's time after the first one that `session` holds.

    Args:
        session: which.
        seconds: since then.
        last: between two ticks, the one before; else the one after.
    """
    ticks = seconds * session.graph.tick_rate
    near = round(ticks)
    if abs(ticks - near) > 1e-6:  # 0.3 s at 100 Hz is tick 30, whatever a float makes of it
        near = math.floor(ticks) if last else math.ceil(ticks)
    return session.first_tick() + near


def merge(a: Session, b: Session, name: str) -> EditReport:
    """Makes a session with the nodes of both, tick by tick.

    Args:
        a, b: sessions whose graphs have the same tick rate and no node in common. Seed, script and clock are those of `a`.
        name: of the new one.

    Raises:
        SchedulerBusy: one is being recorded.
        SessionsConflict: they do not go together.
        InvalidValue, RecordingExists, OutputFailed: the new session cannot have that name, or cannot be written.
    """
    _refuse_running(a, "merge")
    _refuse_running(b, "merge")
    _check_mergeable(a, b)
    graph = _merged_graph(a.graph, b.graph)
    damage, messages = [*a.damage, *b.damage], 0
    with new_session(name, a.header, graph) as (folder, header):
        moved = (_with_lanes(batch, _lane_places(graph, b.graph)) for batch in b.batches("scheduler", damage))
        file = NewFile(folder, header, "scheduler")
        for batch in _by_tick(a.batches("scheduler", damage), moved):
            file.add(batch)
        file.close()
        for node, session in _owners(a, b).items():
            file = NewFile(folder, header, "node", node)
            for batch in session.batches(file_stem(node), damage):
                file.add(batch)
            file.close()
            messages += file.rows
        file = NewFile(folder, header, "events")
        for batch in _by_tick(a.batches("events", damage), b.batches("events", damage)):
            file.add(batch)
        lacks = _uncounted([a, b], damage)
        file.add_event(graph.first_tick, "merge", {"sessions": [a.name, b.name], **lacks})
        file.close()
        for session in (b, a):
            keep_folders(session, folder)
    return _report(header, graph.first_tick, max(a.last_tick(), b.last_tick()), messages, damage)


def rename(session: Session, new: str) -> Path:
    """Gives a session another name.

    Args:
        session: which.
        new: its new name.

    Returns:
        Its folder.

    Raises:
        SchedulerBusy: it is being recorded.
        InvalidValue, RecordingExists: it cannot have that name.
    """
    _refuse_running(session, "rename")
    target = session.folder.parent / check_name(new)
    if target.exists() or target.is_symlink():
        raise RecordingExists(target.name)
    try:
        session.folder.rename(target)
    except OSError as problem:
        raise OutputFailed(str(target), problem.strerror or str(problem)) from None
    return target


def _refuse_running(session: Session, verb: str) -> None:
    if session.state == "running":
        raise SchedulerBusy(f"cannot {verb} session {session.name!r}", "still recording it; stop that run first")


def _report(header: Header, first: int, last: int, messages: int, damage: list[Damage]) -> EditReport:
    return EditReport(
        session=header.session,
        folder=str(recordings_folder() / header.session),
        first_tick=first,
        last_tick=last,
        messages=messages,
        damage=[str(each) for each in dict.fromkeys(damage)],
    )


def _uncounted(sessions: Sequence[Session], damage: list[Damage]) -> dict[str, list[str]]:
    """The nodes of which a session that is made of these may lack messages: nothing in it would tell."""
    found = [loss.node for session in sessions for loss in likely_losses(session, damage)]
    return {"uncounted": found} if found else {}


def _rows_within(batch: pa.RecordBatch, first: int, last: int) -> pa.RecordBatch:
    chosen = within(batch.column("tick").to_numpy(), first, last)
    return batch if chosen.all() else batch.filter(pa.array(chosen))


def _check_mergeable(a: Session, b: Session) -> None:
    def refuse(why: str) -> None:
        raise SessionsConflict(a.name, b.name, why)

    if a.graph.tick_rate != b.graph.tick_rate:
        refuse(f"their tick rates are {a.graph.tick_rate:g} and {b.graph.tick_rate:g} Hz")
    common = sorted((a.nodes.keys() & b.nodes.keys()) | (_publishers(a) & _publishers(b)))
    if common:
        refuse(f"both have {', '.join(map(repr, common))}")
    types = {lane.topic: lane.type for lane in a.graph.lanes}
    for lane in b.graph.lanes:
        known = types.get(lane.topic, lane.type)
        if known != lane.type:
            refuse(f"topic {lane.topic!r} is {known or 'untyped'} in one and {lane.type or 'untyped'} in the other")


def _publishers(session: Session) -> set[str]:
    """Who has sent anything."""
    return {node for node in session.senders if any(seal.rows for seal in session.marks(file_stem(node)))}


def _owners(a: Session, b: Session) -> dict[str, Session]:
    """Which session has the messages of each node."""
    found = {node: session for session in (b, a) for node in senders(session)}
    return found | dict.fromkeys(_publishers(b), b)


def _merged_graph(a: GraphRecord, b: GraphRecord) -> GraphRecord:
    lanes = list(dict.fromkeys([*a.lanes, *b.lanes]))
    return msgspec.structs.replace(
        a,
        first_tick=min(a.first_tick, b.first_tick),
        deterministic=a.deterministic and b.deterministic,
        nodes=[*a.nodes, *b.nodes],
        lanes=lanes,
    )


def _lane_places(graph: GraphRecord, part: GraphRecord) -> np.ndarray:
    """For each lane of `part` its place among those of `graph`."""
    places: dict[LaneRecord, int] = {lane: place for place, lane in enumerate(graph.lanes)}
    return np.array([places[lane] for lane in part.lanes], dtype=np.int16)


def _with_lanes(batch: pa.RecordBatch, lanes: np.ndarray) -> pa.RecordBatch:
    """A batch of tick rows with its lanes at other places."""
    received = batch.column("received")
    items = received.flatten()
    if not len(items):
        return batch
    fields = [items.field(place) for place in range(4)]
    fields[0] = pa.array(lanes[fields[0].to_numpy()])
    kind = TICKS.field("received").type
    moved = pa.StructArray.from_arrays(fields, fields=[kind.value_type.field(place) for place in range(4)])
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["received"] = pa.ListArray.from_arrays(received.offsets, moved, type=kind)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=TICKS)


def _by_tick(a: Iterator[pa.RecordBatch], b: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of both, those with earlier ticks first."""
    waiting = {side: batch for side in (a, b) if (batch := next(side, None)) is not None}
    while waiting:
        side = min(waiting, key=lambda side: _first(waiting[side]))
        yield waiting[side]
        following = next(side, None)
        if following is None:
            del waiting[side]
        else:
            waiting[side] = following


def _first(batch: pa.RecordBatch) -> int:
    return tick_range(batch)[0] if batch.num_rows else -1
