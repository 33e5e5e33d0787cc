"""What the daemon publishes, for whoever subscribes.

An event is one message of two frames. The first is its subject, ``GRAPH/KIND`` (``/daemon`` for the daemon's own), to subscribe
by prefix; the second a msgpack map with ``kind``, ``version``, ``sequence``, ``time_ns`` and the fields below. ``sequence``
counts all events of this daemon: a step of more than one means that this subscriber was too slow, or asked for less than all.

Who wants to know from when on a subscription holds subscribes, last, to a subject of its own: ``/greeting/`` and something
random. It gets one empty event on it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from horus_daemon.client_to_daemon import PROTOCOL

GREETING = b"/greeting/"


class _Event(msgspec.Struct, kw_only=True, tag_field="kind"):
    version: int = PROTOCOL
    sequence: int = 0
    time_ns: int = 0


class DaemonEvent(_Event, kw_only=True, tag="daemon"):
    """The daemon: ``ready`` or ``stopping``."""

    what: str
    pid: int


class GraphEvent(_Event, kw_only=True, tag="graph"):
    """A graph got into another state, see :class:`horus_daemon.daemon_to_client.GraphInfo`."""

    graph: str
    state: str
    pid: int = 0
    why: str = ""


class NodeEvent(_Event, kw_only=True, tag="node"):
    """Something happened in a graph, as its recording says too: a miss, an error, a crash, a restart, safe mode ...

    Attributes:
        node: empty if it is about the graph.
    """

    graph: str
    tick: int
    node: str
    event: str
    detail: dict[str, Any] = {}


class LogLine(_Event, kw_only=True, tag="log"):
    """A line that a graph printed.

    Attributes:
        node: who printed it; empty for the script.
    """

    graph: str
    node: str
    text: str


class Missed(_Event, kw_only=True, tag="missed"):
    """What the daemon itself was too slow to see.

    Attributes:
        what: ``events`` or ``log bytes``.
    """

    graph: str
    what: str
    count: int


Event = DaemonEvent | GraphEvent | NodeEvent | LogLine | Missed


def subject(event: Event) -> bytes:
    """The first frame of `event`."""
    graph = "" if isinstance(event, DaemonEvent) else event.graph
    return f"{graph}/{event.__struct_config__.tag}".encode()
