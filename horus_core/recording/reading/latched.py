"""The last message of each latched topic of a node before a tick: what a subscriber that starts there gets first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from horus_core.recording.format.header import GraphRecord
from horus_core.recording.reading.file import RecordingFile


def latched_topics(graph: GraphRecord, node: str) -> frozenset[str]:
    """The latched topics of a node."""
    return frozenset(lane.topic for lane in graph.lanes if lane.node == node and lane.latch)


def last_before(files: Sequence[RecordingFile], topics: Iterable[str], tick: int | None = None) -> list[pa.RecordBatch]:
    """The last message on each of `topics` that was sent before `tick`.

    Args:
        files: the parts of one node's file, in their order.
        tick: None for the last of all.

    Returns:
        Batches of one row, in the order of their ticks. A part holds the last ones before it, so one is read to its end.
    """
    found: dict[str, pa.RecordBatch] = {}
    missing = set(topics)
    for file in reversed(files):
        if not missing:
            break
        last = None if tick is None else tick - 1
        here: dict[str, pa.RecordBatch] = {}
        for batch in itertools.chain(file.latched(), file.batches(last_tick=last)):
            here.update(last_rows(batch, missing, tick))
        found.update(here)
        missing -= here.keys()
    return sorted(found.values(), key=lambda row: row.column("tick")[0].as_py())


def last_rows(batch: pa.RecordBatch, topics: Iterable[str], before: int | None = None) -> dict[str, pa.RecordBatch]:
    """The last row of `batch` on each of `topics`, sent before tick `before`; each a batch of one row."""
    column = batch.column("topic")
    names, places = column.dictionary.to_pylist(), column.indices.to_numpy()
    early = np.ones(len(places), dtype=bool) if before is None else batch.column("tick").to_numpy() < before
    found = {}
    for topic in topics:
        if topic in names:
            rows = np.flatnonzero((places == names.index(topic)) & early)
            if len(rows):
                found[topic] = batch.slice(int(rows[-1]), 1)
    return found
