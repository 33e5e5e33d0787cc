"""The last message of each latched topic while a session is written: every part begins with them, so that it opens alone."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from horus_core.recording.format.header import GraphRecord
from horus_core.recording.reading.latched import last_rows, latched_topics


class Latches:
    """The last messages of latched topics so far.

    Args:
        graph: the session's.
        publishers: per publisher's position, its name.
    """

    def __init__(self, graph: GraphRecord, publishers: Mapping[int, str]) -> None:
        topics = {position: latched_topics(graph, name) for position, name in publishers.items()}
        self._topics = {position: each for position, each in topics.items() if each}
        self._last: dict[int, dict[str, pa.RecordBatch]] = {}

    def note(self, publisher: int | str, batch: pa.RecordBatch) -> None:
        """`batch` is written, or stands before what is written."""
        if isinstance(publisher, int) and publisher in self._topics:
            found = last_rows(batch, self._topics[publisher])
            copies = {topic: _copy(row) for topic, row in found.items()}
            self._last.setdefault(publisher, {}).update(copies)

    def batches(self) -> dict[int, list[pa.RecordBatch]]:
        """Per publisher, its last messages, in the order of their ticks."""
        return {
            publisher: sorted(rows.values(), key=lambda row: row.column("tick")[0].as_py())
            for publisher, rows in self._last.items()
        }


def _copy(row: pa.RecordBatch) -> pa.RecordBatch:
    """Without the rest of the batch behind it."""
    return pa.RecordBatch.from_arrays([pa.concat_arrays([column]) for column in row.columns], schema=row.schema)
