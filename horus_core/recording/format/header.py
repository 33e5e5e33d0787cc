"""What the files of a recording say of their session, without Arrow: the supervisor uses it and imports no pyarrow."""

from __future__ import annotations

import msgspec

SENT = "sent"  # the recorder's last event: how many messages each lane has had, by node and topic
FORMAT = 2  # raised when a reader of an older version could misread a file
PLAIN_FORMAT = 1  # of a session without latched topics


class TopicRecord(msgspec.Struct, frozen=True):
    """A topic as a node declared it."""

    name: str
    type: str = ""
    capacity: int = 1024
    latch: bool = False


class NodeRecord(msgspec.Struct, frozen=True):
    """A node as it was when it was recorded. Rates in Hz, budget and deadline in seconds."""

    name: str
    rate: float
    order: int
    pubs: list[TopicRecord]
    subs: list[TopicRecord]
    compute: bool = False
    on: str = ""
    core: int = -1
    deadline: float = 0.0
    budget: float = 0.0
    failure_policy: str = "fatal"
    replayed: bool = False


class LaneRecord(msgspec.Struct, frozen=True):
    """A lane: the messages of one node on one topic. Its place in the list is its number in ``received``.

    `recorded` is False where its messages are left out on purpose: that they are not there is no loss.
    """

    topic: str
    node: str
    type: str = ""
    latch: bool = False
    recorded: bool = True


class GraphRecord(msgspec.Struct, frozen=True):
    """The graph that was recorded."""

    tick_rate: float
    first_tick: int
    deterministic: bool
    seed: int
    epoch_ns: int  # when tick 0 was released, in ns since 1970
    nodes: list[NodeRecord]
    lanes: list[LaneRecord]


class Header(msgspec.Struct, frozen=True):
    """What every file of a session says of it."""

    format: int
    kind: str  # "scheduler", "node", "events"
    session: str
    id: str
    part: int
    node: str  # of a node's file; else empty
    created_ns: int
    graph: GraphRecord
    script: str = ""
    script_sha256: str = ""
    host: str = ""
    machine: str = ""
    versions: dict[str, str] = {}
    replay_of: str = ""


class BatchMark(msgspec.Struct, frozen=True):
    """What every batch says of itself.

    Attributes:
        first, last: ticks.
        latched: its rows stand elsewhere, too: they are the last messages of latched topics before this file begins.
    """

    crc32: int
    rows: int
    first: int
    last: int
    latched: bool = False
