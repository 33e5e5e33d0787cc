"""What the events of a session tell of its messages: how many were sent, and what is known to be missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from horus_core.recording.format.header import SENT
from horus_core.recording.format.names import FILE_NAME, file_stem
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.reader import Session

_TELLING = (SENT, "repair", "gap", "lost", "recording ended", "end", "trim", "merge")


class _Sent(msgspec.Struct):
    messages: dict[str, dict[str, int]]


class _Repair(msgspec.Struct):
    files: list[str] = []
    bytes: int = 0
    seconds: float = 0.0
    lost: dict[str, int] | None = None  # by node; None in repairs that did not count
    uncounted: list[str] = []
    counted: bool = True
    trimmed: bool = False  # its events do not tell it any more


class _Made(msgspec.Struct):
    """Of a session that was made of others."""

    uncounted: list[str] = []


class _Lost(msgspec.Struct):
    messages: int = 0


class Told:
    """What events tell, added up.

    Attributes:
        sent: by node and topic, how many messages there were when the recording ended.
        lost: by node, how many messages a repair found missing.
        uncounted: nodes that may miss messages of which nothing tells how many.
        unrecorded: by node, how many messages the recorder says it could not write; '' for those of all nodes.
        counted: whether no repair has found an end of which nothing tells.
        ended_early: whether the recorder gave up before the graph ended.
        last_tick: that of the event "end", -1 without one.
        trimmed: whether it is a part of another session, so that its messages need not be numbered from 0.
        repaired: whether it was repaired.
    """

    def __init__(self) -> None:
        self.sent: dict[str, dict[str, int]] = {}
        self.lost: dict[str, int] = {}
        self.uncounted: set[str] = set()
        self.unrecorded: Counter[str] = Counter()
        self.last_tick, self.counted = -1, True
        self.ended_early = self.trimmed = self.repaired = False

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a batch of a file of events."""
        names = batch.column("event").to_pylist()
        for row, name in enumerate(names):
            if name in _TELLING:
                tick, node, detail = (batch.column(column)[row].as_py() for column in ("tick", "node", "detail"))
                self._add(name, tick, node, detail)

    def _add(self, name: str, tick: int, node: str, detail: str) -> None:
        if name == "end":
            self.last_tick = max(self.last_tick, tick)
        elif name in ("trim", "merge"):
            self.trimmed |= name == "trim"
            self.uncounted.update(_decoded(detail, _Made, _Made()).uncounted)
        elif name == "recording ended":
            self.ended_early = True
        elif name == SENT:
            for sender, topics in _decoded(detail, _Sent, _Sent({})).messages.items():
                self.sent.setdefault(sender, {}).update(topics)
        elif name == "repair":
            self.repaired = True
            self._add_repair(_decoded(detail, _Repair, _Repair(bytes=1)))
        else:
            self.unrecorded[node] += _decoded(detail, _Lost, _Lost()).messages

    def _add_repair(self, repair: _Repair) -> None:
        self.trimmed |= repair.trimmed
        if repair.lost is not None:
            for node, messages in repair.lost.items():
                self.lost[node] = max(messages, self.lost.get(node, 0))
            self.uncounted.update(repair.uncounted)
            self.counted &= repair.counted
        elif repair.bytes or repair.seconds:
            self.counted = False
            found = [match for name in repair.files if (match := FILE_NAME.match(name))]
            self.uncounted.update(match["stem"] for match in found if match["stem"] not in ("scheduler", "events"))

    def end(self, session: Session, damaged: bool) -> None:
        """Ends what is told; of a session whose events do not all read, nothing says that it was not trimmed."""
        gone = any(Path(each.path).name.startswith("events@") for each in session.damage)
        if (damaged or gone) and session.graph.first_tick > 0:
            self.trimmed = True

    @property
    def is_whole(self) -> bool:
        """Whether no event tells of anything that may be missing."""
        missing = self.lost or self.uncounted or self.ended_early or (self.sent and self.unrecorded)
        return not missing and (bool(self.sent) or self.counted)

    def proves(self, node: str, from_start: bool) -> bool:
        """Whether what `node` sent is known in all: its messages count from 0, and up to where is told."""
        return from_start and node in self.sent

    def is_uncounted(self, node: str) -> bool:
        """Whether a repair has found that `node` may miss messages that nothing counts."""
        return not self.uncounted.isdisjoint((node, file_stem(node)))


def _decoded(detail: str, kind: Any, otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(detail, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return otherwise


def told_by(session: Session) -> Told:
    """What the events of `session` tell; no other file is read."""
    told, damage = Told(), list[Damage]()
    for batch in session.batches("events", damage):
        told.add(batch)
    told.end(session, bool(damage))
    return told
