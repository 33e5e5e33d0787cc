"""Opens recordings: a file or a session, whole, still being written, cut short or damaged.

Opening never executes anything from a recording, reads regular files only, and holds one batch at a time.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from horus_core.errors import NotARecording, RecordingDamaged, RecordingMissing, RecordingTooNew
from horus_core.recording.format import EVENTS, FORMAT, MARK, MESSAGES, TICKS, BatchMark, GraphRecord, Header, NodeRecord, checksum

_MAGIC = b"ARROW1"
_PREFIX = 8  # the magic and its padding; an IPC stream begins behind it
_KINDS = {"scheduler": TICKS, "node": MESSAGES, "events": EVENTS}
FILE_NAME = re.compile(r"^(?P<stem>.+)@(?P<id>[0-9a-f]+)(?:\.(?P<part>\d+))?\.arrow$")


class Damage(msgspec.Struct, frozen=True):
    """One place where a file does not hold what was written. `first` and `last` are ticks, -1 where unknown."""

    path: str
    first: int
    last: int
    what: str

    def __str__(self) -> str:
        where = f"in ticks {self.first} to {self.last}" if self.first >= 0 else "at its end"
        return f"{self.path} is damaged {where}: {self.what}"


class RecordingFile:
    """One file of a recording, open for reading through a memory map.

    Args:
        path: the file.

    Attributes:
        header: what the file says of its session.
        complete: whether the file was closed properly; False for one that is being written or was cut.
        damage: what was found wrong while reading; it grows as :meth:`batches` goes on.

    Raises:
        RecordingMissing, NotARecording, RecordingTooNew, RecordingDamaged: see their words.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.damage: list[Damage] = []
        size = _regular_file_size(self.path)
        if size == 0:
            raise NotARecording(str(path), "an empty file", "give a recording's .arrow file")
        try:
            self._map: pa.MemoryMappedFile = pa.memory_map(str(self.path), "r")
        except OSError as problem:
            raise RecordingMissing(str(path), f"it cannot be opened ({problem.strerror or problem})") from None
        self._buffer: pa.Buffer = self._map.read_buffer()
        if bytes(self._buffer[: len(_MAGIC)]) != _MAGIC[: min(size, len(_MAGIC))]:
            raise NotARecording(str(path), "not an Arrow file", "give a recording's .arrow file")
        self.complete = size > 2 * _PREFIX and bytes(self._buffer[size - len(_MAGIC) :]) == _MAGIC
        if size <= _PREFIX:
            raise RecordingDamaged(str(path), "at its start", f"it was cut after {size} bytes, before any data")
        self._schema, self.header = self._read_header()
        self._file: pa.RecordBatchFileReader | None = None
        if self.complete:
            try:
                self._file = pa.ipc.open_file(self._buffer)
                if self._file.schema != self._schema:
                    raise pa.ArrowInvalid("footer and start disagree")
            except (pa.ArrowException, OSError, ValueError, KeyError) as problem:
                self.damage.append(Damage(str(self.path), -1, -1, f"its footer is not valid ({_line(problem)})"))
                self.complete = False

    def _read_header(self) -> tuple[pa.Schema, Header]:
        try:
            schema = pa.ipc.open_stream(self._buffer.slice(_PREFIX)).schema
        except (pa.ArrowException, OSError, ValueError, KeyError) as problem:
            raise RecordingDamaged(str(self.path), "at its start", f"the schema does not read ({_line(problem)})") from None
        raw = (schema.metadata or {}).get(MARK)
        if raw is None:
            raise NotARecording(str(self.path), "an Arrow file, but not of HORUS", "give a recording's .arrow file")
        try:
            version = msgspec.json.decode(raw, type=_Version).format
            if version > FORMAT:
                raise RecordingTooNew(str(self.path), version, FORMAT)
            header = msgspec.json.decode(raw, type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            raise RecordingDamaged(str(self.path), "at its start", f"the header does not read ({_line(problem)})") from None
        expected = _KINDS.get(header.kind)
        if expected is None or not schema.remove_metadata().equals(expected):
            raise RecordingDamaged(str(self.path), "at its start", f"its columns are not those of a {header.kind!r} file")
        return schema, header

    def batches(self, first_tick: int | None = None, last_tick: int | None = None) -> Iterator[pa.RecordBatch]:
        """The batches that may hold ticks from `first_tick` to `last_tick`, in file order, each checked.

        A batch that fails its checksum is left out and noted in :attr:`damage`; where the file ends early is noted too.
        Batches are views of the memory map: constant memory however long the file.
        """
        for batch, seal in self._raw_batches():
            if seal is None:
                self.damage.append(Damage(str(self.path), -1, -1, "a batch without its checksum"))
                continue
            if first_tick is not None and seal.last < first_tick:
                continue
            if last_tick is not None and seal.first > last_tick:
                continue
            try:
                batch.validate(full=True)
                same = batch.schema.equals(_KINDS[self.header.kind]) and batch.num_rows == seal.rows
                problem = "" if same and checksum(batch) == seal.crc32 else "its checksum does not match"
            except (pa.ArrowException, ValueError, IndexError, TypeError) as error:
                problem = _line(error)
            if problem:
                self.damage.append(Damage(str(self.path), seal.first, seal.last, problem))
                continue
            yield batch

    def _raw_batches(self) -> Iterator[tuple[pa.RecordBatch, BatchMark | None]]:
        if self._file is not None:
            yield from self._indexed_batches(self._file)
        else:
            yield from self._streamed_batches()

    def _indexed_batches(self, file: pa.RecordBatchFileReader) -> Iterator[tuple[pa.RecordBatch, BatchMark | None]]:
        for index in range(file.num_record_batches):
            try:
                found = file.get_batch_with_custom_metadata(index)
                seal = _seal(found.custom_metadata)
            except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as problem:
                self.damage.append(Damage(str(self.path), -1, -1, f"batch {index} does not read ({_line(problem)})"))
                continue
            yield found.batch, seal

    def _streamed_batches(self) -> Iterator[tuple[pa.RecordBatch, BatchMark | None]]:
        stream = pa.ipc.open_stream(self._buffer.slice(_PREFIX))
        while True:
            try:
                found = stream.read_next_batch_with_custom_metadata()
                seal = _seal(found.custom_metadata)
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as problem:
                self.damage.append(Damage(str(self.path), -1, -1, f"cut in the middle of a batch ({_line(problem)})"))
                return
            yield found.batch, seal

    def close(self) -> None:
        """Forgets the map; batches that were handed out stay valid."""
        self._file = None


class _Version(msgspec.Struct):
    format: int


def _line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]


def _seal(metadata: pa.KeyValueMetadata | None) -> BatchMark | None:
    raw = metadata.get(MARK) if metadata is not None else None
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=BatchMark)
    except msgspec.MsgspecError:
        return None


def _regular_file_size(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise RecordingMissing(str(path), "'horus record list' shows what there is") from None
    except OSError as problem:
        if path.is_symlink():
            raise NotARecording(str(path), "a symbolic link", "give the file itself") from None
        raise RecordingMissing(str(path), f"it cannot be opened ({problem.strerror})") from None
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise NotARecording(str(path), "a folder", "give the scheduler@... file in it, or the session's name")
    if not stat.S_ISREG(found.st_mode):
        raise NotARecording(str(path), "not a regular file", "give a recording's .arrow file")
    return found.st_size


class Session:
    """A recorded session: its folder and the files in it.

    Args:
        folder: the session's folder.

    Attributes:
        name: the folder's name.
        header: that of the scheduler file.
        state: "complete", "running" or "recovered" (it ended without being closed; everything up to the cut reads).

    Raises:
        RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.name = self.folder.name
        names = sorted(os.listdir(self.folder)) if self.folder.is_dir() else []
        found = [(match, name) for name in names if (match := FILE_NAME.match(name))]
        schedulers = [(int(match["part"] or 0), name) for match, name in found if match["stem"] == "scheduler"]
        if not schedulers:
            raise RecordingMissing(str(folder), "the folder holds no scheduler@... file; 'horus record list' shows sessions")
        self._files: dict[str, list[Path]] = {}
        for match, name in sorted(found, key=lambda pair: int(pair[0]["part"] or 0)):
            self._files.setdefault(match["stem"], []).append(self.folder / name)
        self.header: Header = RecordingFile(self.folder / min(schedulers)[1]).header
        self.state = self._state()

    @property
    def graph(self) -> GraphRecord:
        """The recorded graph."""
        return self.header.graph

    @property
    def nodes(self) -> dict[str, NodeRecord]:
        """The recorded nodes by name."""
        return {node.name: node for node in self.graph.nodes}

    def paths(self) -> list[Path]:
        """All Arrow files, scheduler first."""
        stems = sorted(self._files, key=lambda stem: (stem != "scheduler", stem == "events", stem))
        return [path for stem in stems for path in self._files[stem]]

    def files(self, stem: str) -> list[RecordingFile]:
        """The parts of one file, opened, in order: ``"scheduler"``, ``"events"`` or :func:`file_stem` of a node."""
        return [RecordingFile(path) for path in self._files.get(stem, [])]

    def node_files(self, node: str) -> list[RecordingFile]:
        """The parts of the file with the messages of `node`."""
        return self.files(file_stem(node))

    def events(self) -> list[dict[str, Any]]:
        """All recorded events, as dicts with time, tick, node, event, detail."""
        return [row for file in self.files("events") for batch in file.batches() for row in batch.to_pylist()]

    def last_tick(self) -> int:
        """The last tick that was released; `first_tick` - 1 where none was."""
        last = self.graph.first_tick - 1
        for file in self.files("events"):
            for batch in file.batches():
                for event, tick in zip(batch.column("event").to_pylist(), batch.column("tick").to_pylist(), strict=True):
                    if event == "end":
                        last = max(last, tick)
        for file in self.files("scheduler"):
            for _, seal in file._raw_batches():
                if seal is not None:
                    last = max(last, seal.last)
        return last

    def size(self) -> int:
        """Bytes of all files in the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())

    def _state(self) -> str:
        if is_being_written(self._files["scheduler"][-1]):
            return "running"
        whole = all(_closed(path) for paths in self._files.values() for path in paths)
        return "complete" if whole else "recovered"


def file_stem(node: str) -> str:
    """The name that a node's file starts with: the node's own name, with what a file name cannot hold as ``%XX``.

    >>> file_stem("arm/left")
    'arm%2Fleft'
    """
    plain = "".join(
        each if each.isalnum() or each in "._- " else "".join(f"%{byte:02X}" for byte in each.encode()) for each in node
    )
    if plain in ("scheduler", "events") or plain.startswith("."):
        plain = f"%{ord(plain[0]):02X}{plain[1:]}"
    return plain


def is_being_written(path: Path) -> bool:
    """Whether a recorder holds the lock of this file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _closed(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() <= 2 * _PREFIX:
            return False
        file.seek(-len(_MAGIC), os.SEEK_END)
        return file.read() == _MAGIC


