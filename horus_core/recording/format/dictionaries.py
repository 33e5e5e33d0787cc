"""The names of topics, nodes and statuses that a file's columns count in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from horus_core.recording.format.file_bytes import FileContent
from horus_core.recording.format.frames import PREFIX, Frame, decompressed_size, walk
from horus_core.recording.format.header_footer import PROBLEMS
from horus_core.recording.format.metadata import BATCH
from horus_core.recording.format.raw_batches import KINDS, Names
from horus_core.recording.format.schemas import STATUSES, Header

LARGEST_BATCH = 512 << 20  # bytes that a compressed batch may take in memory: more than a recorder ever holds


def implied_names(header: Header) -> dict[str, pa.Array]:
    """The dictionaries of the file with this header, by column; they are fixed when it begins."""
    if header.kind == "events":
        return {}
    if header.kind == "node":
        topics = [lane.topic for lane in header.graph.lanes if lane.node == header.node]
        return {"topic": pa.array(topics, type=pa.string())}
    nodes = [node.name for node in header.graph.nodes]
    return {"node": pa.array(nodes, type=pa.string()), "status": pa.array(STATUSES, type=pa.string())}


def with_implied_names(batch: pa.RecordBatch, header: Header) -> pa.RecordBatch:
    """`batch` with the dictionaries that the file with this header has.

    Raises:
        ValueError: a name is not in them.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, implied in implied_names(header).items():
        own = columns[name].dictionary
        if not own.equals(implied):
            known = implied.to_pylist()
            places = np.array([known.index(each) for each in own.to_pylist()], dtype=np.int64)
            indices = pa.array(places[columns[name].indices.to_numpy()], type=columns[name].type.index_type)
            columns[name] = pa.DictionaryArray.from_arrays(indices, implied)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def likely_names(content: FileContent, stop: int, header: Header) -> list[Names]:
    """The dictionaries that may be right: the file's own, and those that its header implies."""
    own, implied = _own_names(content, stop, header), implied_names(header)
    return [Names(each) for each in ([own] if own == implied else [own, implied])]


def _own_names(content: FileContent, stop: int, header: Header) -> dict[str, pa.Array]:
    columns = [field.name for field in KINDS[header.kind] if pa.types.is_dictionary(field.type)]
    try:
        end = _first_batch_stop(content, stop) if columns else 0
        if not end:
            return {}
        first = pa.ipc.open_stream(pa.py_buffer(content.read(PREFIX, end))).read_next_batch()
        names = {column: first.column(column).dictionary for column in columns}
        for dictionary in names.values():
            dictionary.validate(full=True)
        return names
    except (*PROBLEMS, StopIteration, AttributeError):
        return {}


def _first_batch_stop(content: FileContent, stop: int) -> int:
    """Where the first batch ends, if all up to there reads; else 0."""
    for frame in walk(content, stop):
        if (
            not isinstance(frame, Frame)
            or decompressed_size(frame, content.read(frame.body, frame.stop)) > LARGEST_BATCH
        ):
            return 0
        if frame.kind == BATCH:
            return frame.stop
    return 0
