"""The state file: which graphs there are, and which of them should run.

``graphs.json`` is written whole into a file beside it, synced, and renamed over the old one, so a power cut leaves the old or
the new one. Whoever reads it finds:

    {"format": 1, "graphs": [{"spec": {...}, "wanted": true, "starts": 3, "ended": {...}, "since_ns": ...}, ...]}

What cannot be used, because it is damaged or of a later format, is kept under another name, and the daemon says so and starts
with the rest.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec

from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended
from horus_daemon.journal import log

FORMAT = 1


class Entry(msgspec.Struct):
    """A graph, as it is kept.

    Attributes:
        wanted: whether it should run.
        starts: how often it was started.
        ended: how it ended last.
        stopped: whether that was by request.
        since_ns: when it was started, or ended.
    """

    spec: GraphSpec
    wanted: bool = False
    starts: int = 0
    ended: Ended | None = None
    stopped: bool = False
    since_ns: int = 0


class _State(msgspec.Struct):
    format: int
    graphs: list[Entry]


class _Read(msgspec.Struct):
    format: int
    graphs: list[msgspec.Raw] = []


def load(path: Path) -> list[Entry]:
    """The graphs in the state file at `path`, those that can be used."""
    found: dict[str, Entry] = {}
    problems: list[str] = []
    try:
        read = msgspec.json.decode(path.read_bytes(), type=_Read)
        if read.format != FORMAT:
            raise ValueError(f"it has format {read.format}, this version reads {FORMAT}")
        for raw in read.graphs:
            try:
                entry = msgspec.json.decode(raw, type=Entry)
                found[entry.spec.name] = entry
            except (msgspec.MsgspecError, RecursionError, ValueError) as problem:
                problems.append(f"a graph in it: {problem}")
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError) as problem:
        problems.append(str(problem))
    if problems:
        aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
        with contextlib.suppress(OSError):
            path.rename(aside)
        log.error(
            "the state file %s cannot be used whole (%s); it is kept as %s, start what is missing with 'horus up'",
            path,
            "; ".join(problems),
            aside.name,
        )
    return list(found.values())


def save(path: Path, entries: list[Entry]) -> None:
    """Writes the state file. Raises OSError if that fails; the old one is kept then."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(_State(FORMAT, entries)), indent=1))


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, mode 0600, on disk when this returns."""
    temporary = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
