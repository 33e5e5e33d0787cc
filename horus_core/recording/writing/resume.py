"""Goes on where a recorder that was killed stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from horus_core.errors import RecordingError
from horus_core.memory.drain import Drain
from horus_core.recording.format.header import Header
from horus_core.recording.format.names import FILE_NAME, file_stem
from horus_core.recording.reading.file import RecordingFile
from horus_core.recording.reading.latched import last_before, latched_topics
from horus_core.recording.writing.batches import BatchMaker


@dataclass
class Written:
    """What earlier parts of a session hold already, beyond what their recorder released.

    Attributes:
        ticks: per node's name, the last tick with a row.
        event_ns: time of the last event, ns since 1970.
    """

    ticks: dict[str, int] = field(default_factory=dict)
    event_ns: int = 0


def skip_written(folder: Path, identity: str, maker: BatchMaker, drains: Sequence[tuple[int, int, Drain]]) -> Written:
    """Moves drains past what earlier parts of the session already hold, and counts what neither they nor the lanes hold.

    A recorder that is killed between a write and the release of its lanes leaves a batch that the lanes still hold; only the
    last batch of a node's last part can be such a one.

    Args:
        folder, identity: the session's.
        maker: knows the publishers and their topics.
        drains: publisher, place among its topics, and drain.

    Returns:
        What is to be skipped of ticks and events, which have no sequences.
    """
    written = Written()
    for publisher, name in maker.publishers.items():
        last = _last_batch(folder, identity, name)
        if last is None:
            continue
        topics = last.column("topic").indices.to_numpy()
        sequences = last.column("sequence").to_numpy()
        for owner, place, drain in drains:
            mine = sequences[topics == place]
            if owner == publisher and len(mine):
                # The lane may be released beyond that: the recorder had copied it while the disk stood still, and died with it.
                released, drain.cursor = drain.cursor, int(np.max(mine)) + 1
                if released > drain.cursor:
                    drain.lose(released)
    ticks = _last_batch(folder, identity, "scheduler", "scheduler")
    if ticks is not None:
        for name, tick in zip(ticks.column("node").to_pylist(), ticks.column("tick").to_pylist(), strict=True):
            written.ticks[name] = max(tick, written.ticks.get(name, -1))
    events = _last_batch(folder, identity, "events", "events")
    if events is not None:
        written.event_ns = int(events.column("time").cast(pa.int64()).to_numpy().max())
    return written


def written_latched(folder: Path, header: Header, node: str) -> list[pa.RecordBatch]:
    """The last messages of a node's latched topics in earlier parts of the session."""
    topics = latched_topics(header.graph, node)
    if not topics:
        return []
    found = [match for path in folder.iterdir() if (match := FILE_NAME.match(path.name))]
    mine = [match for match in found if match["stem"] == file_stem(node) and match["id"] == header.id]
    files = []
    for match in sorted(mine, key=lambda each: int(each["part"] or 0)):
        with contextlib.suppress(RecordingError):
            files.append(RecordingFile(folder / match.string, growing=True))
    return last_before(files, topics)


def _last_batch(folder: Path, identity: str, node: str, stem: str | None = None) -> pa.RecordBatch | None:
    """The last whole batch with messages of `node`, or of the file called `stem`."""
    stem = stem or file_stem(node)
    found = [match for path in folder.iterdir() if (match := FILE_NAME.match(path.name))]
    mine = [match for match in found if match["stem"] == stem and match["id"] == identity]
    for match in sorted(mine, key=lambda each: int(each["part"] or 0), reverse=True):
        last = None
        with contextlib.suppress(RecordingError):
            file = RecordingFile(folder / match.string)
            for frame, seal in file.sealed_frames():
                last = (frame, seal) if seal.rows and not seal.latched else last
            if last is not None:
                return file.decode(*last)
    return None
