"""The side inputs that a live node read when it was recorded, given back in the same ticks and the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from horus_core.errors import SampleMissing
from horus_core.graph.spec import Graph, sample_topic
from horus_core.recording.reading.reader import RecordingFile, Session
from horus_core.replay.source import Row, rows_of


@dataclass
class RecordedSamples:
    """The side inputs of one node.

    Args:
        session, node: their names.
        paths: the parts of its file.
        first: the first tick that is replayed.
        loop: the first and the last tick of a replay that starts over; None for one that does not.
    """

    session: str
    node: str
    paths: list[str]
    first: int
    loop: tuple[int, int] | None = None
    _rows: Iterator[Row] | None = field(default=None, init=False)
    _next: Row | None = field(default=None, init=False)
    _shift: int = field(default=0, init=False)
    _read: dict[str, deque[tuple[int, int, bytes]]] = field(default_factory=dict, init=False)

    def next(self, name: str, tick: int) -> tuple[int, memoryview]:
        """The encoding and the payload of the next one called `name` that was read in `tick`.

        Raises:
            SampleMissing: there is none.
        """
        self._read_up_to(tick)
        waiting = self._read.get(sample_topic(self.node, name), deque())
        while waiting and waiting[0][0] < tick - self._shift:
            waiting.popleft()
        if not waiting or waiting[0][0] > tick - self._shift:
            raise SampleMissing(self.node, tick, name, self.session)
        _, encoding, payload = waiting.popleft()
        return encoding, memoryview(payload)

    def _read_up_to(self, tick: int) -> None:
        if self.loop is not None and tick - self._shift > self.loop[1]:
            first, last = self.loop
            self._shift += last - first + 1
            self._open(first)
            self._read.clear()
        elif self._rows is None:
            self._open(self.first)
        assert self._rows is not None
        while self._next is not None and self._next[0] <= tick - self._shift:
            sent_in, _, topic, encoding, payload = self._next
            if topic.startswith(sample_topic(self.node, "")):
                self._read.setdefault(topic, deque()).append((sent_in, encoding, bytes(payload)))
            self._next = next(self._rows, None)

    def _open(self, first: int) -> None:
        self._rows = (
            row
            for path in self.paths
            for batch in RecordingFile(path).batches(first)
            for row in rows_of(batch)
            if row[0] >= first
        )
        self._next = next(self._rows, None)


def samples_of(
    session: Session, graph: Graph, names: Sequence[str], first: int, loop: tuple[int, int] | None
) -> dict[str, RecordedSamples]:
    """The side inputs of the live nodes `names` that the session knows and that have any."""
    return {
        name: RecordedSamples(
            session.name, name, [str(file.path) for file in session.node_files(name)], max(first, 0), loop
        )
        for name in names
        if name in session.nodes and graph.nodes[graph.position(name)].samples
    }
