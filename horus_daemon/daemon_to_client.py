"""What the daemon answers; see :mod:`horus_daemon.client_to_daemon`.

An answer is one msgpack map with ``kind``, ``version``, ``id`` and the fields below. A client ignores fields that it does not
know. :class:`Refused` has had this form from protocol 1 on and keeps it, so that every client can read why it was refused.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from horus_daemon.client_to_daemon import PROTOCOL

GraphState = Literal["starting", "running", "stopping", "waiting", "stopped", "ended", "failed"]


class Ended(msgspec.Struct, frozen=True):
    """How a graph's process ended.

    Attributes:
        code: the exit code, 128 and a signal's number if that killed it; None if nobody could tell.
        why: one line; empty if there is nothing to say.
    """

    time_ns: int
    code: int | None
    why: str = ""


class NodeState(msgspec.Struct, frozen=True):
    """A node, as its row of the control segment says, now or when its graph ended.

    Attributes:
        event: what happened to it last.
    """

    name: str
    pid: int
    state: str
    ticks: int
    last_tick: int
    misses: int
    restarts: int
    errors: int
    event: str = ""


class PastEvent(msgspec.Struct, frozen=True):
    """An event of a graph: ``start``, ``ready``, ``miss``, ``error``, ``crash``, ``restart``, ``end`` ..."""

    time_ns: int
    tick: int
    node: str
    event: str
    detail: dict[str, Any] = {}


class GraphInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A graph.

    Attributes:
        state: ``starting`` (its process runs, its nodes are not ready), ``running``, ``stopping``, ``waiting`` (to be started
            again), ``stopped`` (by request), ``ended`` (by itself, exit code 0), ``failed``.
        wanted: whether it should run, so also after the machine starts.
        pid: of its supervisor; 0 if there is none.
        since_ns: when it got into that state.
        id: its id in shared memory; empty if it is not there.
        tick: the last one that was released, -1 for none.
        starts: how often it was started.
        again_in: seconds until it is started again; None if it is not waiting.
        ended: how it last ended.
        recent: the latest events, of all its starts, oldest first: 200, and of misses the last 50 more.
    """

    name: str
    state: GraphState
    wanted: bool
    restart: str
    script: str
    log: str
    since_ns: int
    pid: int = 0
    id: str = ""
    tick: int = -1
    tick_rate: float = 0.0
    session: str = ""
    starts: int = 0
    again_in: float | None = None
    ended: Ended | None = None
    nodes: list[NodeState] = []
    recent: list[PastEvent] = []


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    version: int = PROTOCOL
    id: int = 0


class Refused(_Answer, frozen=True, kw_only=True, tag="refused"):
    """The request was not done.

    Attributes:
        code: ``malformed``, ``oversized``, ``unknown``, ``version``, ``invalid``, ``exists``, ``missing``, ``stopping`` or
            ``internal``.
        why: one line.
        server: the daemon's package version.
    """

    code: str
    why: str
    server: str = ""


class Done(_Answer, frozen=True, kw_only=True, tag="done"):
    """The request was done, and there is nothing to add."""


class DaemonStatus(_Answer, frozen=True, kw_only=True, tag="status"):
    """How the daemon is.

    Attributes:
        server: its package version.
        adopted: graphs that it found running when it started.
        lost_events: events of nodes that were overwritten before it read them.
    """

    pid: int
    server: str
    started_ns: int
    graphs: dict[str, GraphState]
    adopted: int
    requests: int
    refused: int
    lost_events: int
    state_file: str
    logs: str


class Graphs(_Answer, frozen=True, kw_only=True, tag="graphs"):
    """Graphs, by name."""

    graphs: list[GraphInfo]


Answer = Refused | Done | DaemonStatus | Graphs
