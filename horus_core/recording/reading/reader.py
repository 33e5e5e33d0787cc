"""Opens recordings: a session and the files in it, whole, still being written, cut short or damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from horus_core.errors import RecordingDamaged
from horus_core.recording.format.header import BatchMark, NodeRecord
from horus_core.recording.format.names import FILE_NAME, file_stem, is_being_written
from horus_core.recording.format.raw_batches import Body, Names
from horus_core.recording.reading.file import Damage, RecordingFile
from horus_core.recording.reading.session_files import SessionFiles

__all__ = ["FILE_NAME", "Damage", "RecordingFile", "Session", "file_stem", "is_being_written"]

_LONGEST_IDLE = 3600.0  # seconds for which nothing runs in a graph that is alive
_LONGEST_PERIOD = 86_400.0


class Session(SessionFiles):
    """A recorded session: what its files say of its graph, its ticks and its messages; see :class:`SessionFiles`.

    One that is being recorded reads up to where it was when it was opened, however often it is read.
    """

    @property
    def nodes(self) -> dict[str, NodeRecord]:
        """The recorded nodes by name."""
        return {node.name: node for node in self.graph.nodes}

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Node and topic of the lanes whose messages were left out on purpose."""
        return [(lane.node, lane.topic) for lane in self.graph.lanes if not lane.recorded]

    def node_files(self, node: str, damage: list[Damage] | None = None) -> list[RecordingFile]:
        """The parts of the file with the messages of `node`; `damage` as in :meth:`files`."""
        return self.files(file_stem(node), damage)

    def batches(
        self, stem: str, damage: list[Damage], first_tick: int | None = None, last_tick: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The batches of all parts of one file; what cannot be read of it is noted in `damage`."""
        for file in self._opened(stem, damage):
            yield from file.batches(first_tick, last_tick)
            damage.extend(file.damage)

    def bodies(
        self, stem: str, damage: list[Damage], first_tick: int | None = None, last_tick: int | None = None
    ) -> Iterator[tuple[Body, Names]]:
        """The same batches as plain arrays."""
        for file in self._opened(stem, damage):
            yield from file.bodies(first_tick, last_tick)
            damage.extend(file.damage)

    def marks(self, stem: str) -> Iterator[BatchMark]:
        """What each batch of all parts of one file says of itself."""
        for file in self._opened(stem, []):
            yield from file.marks()

    def events(self) -> list[dict[str, Any]]:
        """All recorded events, as dicts with time (ns since 1970), tick, node, event, detail (JSON)."""
        found = []
        for file in self.files("events"):
            for batch in file.batches():
                columns = {name: batch.column(name) for name in batch.schema.names}
                columns["time"] = columns["time"].view(pa.int64())
                rows = zip(*(column.to_pylist() for column in columns.values()), strict=True)
                found += [dict(zip(columns, row, strict=True)) for row in rows]
        return found

    def first_tick(self) -> int:
        """The first tick that is held: the graph's first, but where a ring has dropped old parts that of the oldest left."""
        if not self.begins:
            return next((seal.first for seal in self.marks("scheduler") if seal.rows), self.graph.first_tick)
        return self.graph.first_tick

    def held_ticks(self) -> tuple[int, int]:
        """The first and the last tick that are held; the last is `first` - 1 where there is none.

        Raises:
            RecordingDamaged: it claims more ticks than its rows can have: nodes run, or have rows, more often than that.
        """
        first, last = self.first_tick(), self.last_tick()
        if last - first > self._size_of("scheduler"):  # else there is a byte for each, which is soon looked up
            slowest = min((node.rate for node in self.graph.nodes), default=self.graph.tick_rate)
            most = max(_LONGEST_IDLE, min(2 / slowest, _LONGEST_PERIOD)) * self.graph.tick_rate
            rows = min(sum(max(seal.rows, 0) for seal in self.marks("scheduler")), self._size_of("scheduler"))
            if last - first > (rows + 1) * most:
                what = f"it claims ticks {first} to {last}, and has {rows:,} rows"
                raise RecordingDamaged(str(self._files["scheduler"][0]), "on purpose", what)
        return first, last

    def last_tick(self) -> int:
        """The last tick that was released; `first_tick` - 1 where none was."""
        ends = [self.graph.first_tick - 1]
        for batch in self.batches("events", []):
            names, ticks = batch.column("event").to_pylist(), batch.column("tick").to_pylist()
            ends.extend(tick for name, tick in zip(names, ticks, strict=True) if name == "end")
        if len(ends) == 1 or self.state != "complete":
            ends.extend(seal.last for seal in self.marks("scheduler"))
        return max(ends)

    def size(self) -> int:
        """Bytes of all files in the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
