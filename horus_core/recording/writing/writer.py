"""Writes the files of a recording from columns that the recorder drained.

The layout is that of ``format``; batches are built from NumPy buffers, with no Python work per message.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.processes.own_files import opener
from horus_core.recording.format.dictionaries import implied_names
from horus_core.recording.format.names import file_name, file_stem
from horus_core.recording.format.schemas import EVENTS, MESSAGES, RECEIVED, STATUSES, TICKS, Header, mark, with_header

_SCHEMAS = {"scheduler": TICKS, "node": MESSAGES, "events": EVENTS}
_LARGE_BATCH = 1 << 20  # bytes
_SYNC_FILE_RANGE_WRITE = 2  # <fcntl.h>
_libc = ctypes.CDLL(None)


class FileWriter:
    """One file, being written. The scheduler's file is locked meanwhile: that is what makes a session "running".

    Args:
        folder: the session's folder.
        header: goes into the file's schema; its kind, node and part name the file.
        compression: None, "lz4" or "zstd".
    """

    def __init__(self, folder: Path, header: Header, compression: str | None = None) -> None:
        stem = header.kind if header.kind != "node" else file_stem(header.node)
        self.path = folder / file_name(stem, header.id, header.part)
        self._schema = with_header(_SCHEMAS[header.kind], header)
        # pa.OSFile does not buffer: what write() returned from has reached the kernel, whatever happens to this process.
        unnamed = folder / f".{self.path.name}.new"
        self._descriptor = opener(str(unnamed), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._sink: Any = pa.OSFile(str(unnamed), "wb")
        self._size = 0
        if header.kind == "scheduler":
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._writer: Any = pa.ipc.new_file(
            self._sink, self._schema, options=pa.ipc.IpcWriteOptions(compression=compression)
        )
        # An empty batch, because the schema is written with the first one: with its name the file also has its header.
        self.write(_empty_batch(header, _SCHEMAS[header.kind]), header.graph.first_tick, header.graph.first_tick - 1)
        unnamed.rename(self.path)

    def write(self, batch: pa.RecordBatch, first: int, last: int, latched: bool = False) -> None:
        """Appends `batch`, whose ticks lie between `first` and `last`; `latched` as in :class:`BatchMark`."""
        self._writer.write_batch(batch, custom_metadata=mark(batch, first, last, latched))
        if batch.nbytes >= _LARGE_BATCH:
            self._start_to_disk()

    def _start_to_disk(self) -> None:
        """Has the kernel begin with what it holds, so that the disk works while the next batch is made."""
        whole = ctypes.c_int64(0)  # offset and length 0: all that is not on its way yet
        _libc.sync_file_range(self._descriptor, whole, whole, _SYNC_FILE_RANGE_WRITE)

    def sync(self) -> None:
        """Returns when the disk has it."""
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        """Bytes written so far."""
        return self._size if self._descriptor < 0 else os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Writes the footer and lets go of the lock."""
        self._writer.close()
        self._sink.close()
        os.fsync(self._descriptor)
        self._size = self.size()
        os.close(self._descriptor)
        self._descriptor = -1


def _empty_batch(header: Header, schema: pa.Schema) -> pa.RecordBatch:
    names = implied_names(header)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array([], type=column.type.index_type), names[column.name])
        if column.name in names
        else pa.array([], type=column.type)
        for column in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def message_batch(
    entries: np.ndarray, topics: np.ndarray, names: list[str], payload: np.ndarray, epoch_offset: int
) -> tuple[pa.RecordBatch, int, int]:
    """A batch of messages.

    Args:
        entries: shape (n, 8), int64, rows of a lane's index: sequence + 1, tick, visible, monotonic time, position, length,
            encoding, spare.
        topics: shape (n,), int16: each row's topic as a place in `names`.
        names: the node's topics.
        payload: uint8, the payloads one after the other.
        epoch_offset: what to add to a monotonic time to get ns since 1970.

    Returns:
        The batch, its first and its last tick.
    """
    count = len(entries)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(entries[:, 5], out=offsets[1:])
    columns = [
        pa.array(entries[:, 1]),
        pa.array(entries[:, 2]),
        pa.array(entries[:, 0] - 1),
        pa.array(entries[:, 3] + epoch_offset, type=pa.int64()).view(MESSAGES.field("time").type),
        pa.DictionaryArray.from_arrays(pa.array(topics, type=pa.int16()), pa.array(names, type=pa.string())),
        pa.array(entries[:, 6].astype(np.uint8)),
        pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(payload)]
        ),
    ]
    ticks = entries[:, 1]
    return pa.RecordBatch.from_arrays(columns, schema=MESSAGES), int(ticks.min()), int(ticks.max())


def tick_batch(
    head: np.ndarray, nodes: np.ndarray, names: list[str], received: np.ndarray, counts: np.ndarray, epoch_offset: int
) -> tuple[pa.RecordBatch, int, int]:
    """A batch of tick rows.

    Args:
        head: shape (n, 6), int64: tick, monotonic start, duration, status (a place in STATUSES), visible, dropped.
        nodes: shape (n,), int16: each row's node as a place in `names`.
        names: all nodes.
        received: shape (m, 4), int64: lane, first, stop, end; the rows of the first node tick, then of the second, ...
        counts: shape (n,): how many rows of `received` belong to each row.
        epoch_offset: as in :func:`message_batch`.

    Returns:
        The batch, its first and its last tick.
    """
    offsets = np.zeros(len(head) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    items = pa.StructArray.from_arrays(
        [pa.array(received[:, 0].astype(np.int16))]
        + [pa.array(np.ascontiguousarray(received[:, each])) for each in (1, 2, 3)],
        fields=[RECEIVED.field(each) for each in range(4)],
    )
    columns = [
        pa.array(head[:, 0]),
        pa.DictionaryArray.from_arrays(pa.array(nodes, type=pa.int16()), pa.array(names, type=pa.string())),
        pa.array(head[:, 1] + epoch_offset, type=pa.int64()).view(TICKS.field("start").type),
        pa.array(head[:, 2]),
        pa.DictionaryArray.from_arrays(pa.array(head[:, 3].astype(np.int8)), pa.array(STATUSES, type=pa.string())),
        pa.array(head[:, 4]),
        pa.array(head[:, 5]),
        pa.ListArray.from_arrays(pa.array(offsets), items, type=TICKS.field("received").type),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TICKS), int(head[:, 0].min()), int(head[:, 0].max())


def event_batch(events: list[tuple[int, int, str, str, dict[str, Any]]]) -> tuple[pa.RecordBatch, int, int]:
    """A batch of events.

    Args:
        events: each with ns since 1970, tick, node ('' for the graph), what happened, and details.

    Returns:
        The batch, its first and its last tick.
    """
    times, ticks, nodes, names, details = (list(column) for column in zip(*events, strict=True))
    columns = [
        pa.array(times, type=EVENTS.field("time").type),
        pa.array(ticks, type=pa.int64()),
        pa.array(nodes, type=pa.string()),
        pa.array(names, type=pa.string()),
        pa.array([msgspec.json.encode(detail).decode() for detail in details], type=pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=EVENTS), min(ticks), max(ticks)
