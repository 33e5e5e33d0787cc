"""The files of a session: which there are, which are gone or foreign, and how each is opened."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import msgspec

from horus_core.errors import RecordingDamaged, RecordingError, RecordingMissing, RecordingTooNew
from horus_core.recording.format.file_bytes import FileContent
from horus_core.recording.format.header import BatchMark, GraphRecord, Header
from horus_core.recording.format.header_footer import MAGIC, read_header
from horus_core.recording.format.names import FILE_NAME, file_name, file_stem, is_being_written, open_regular
from horus_core.recording.reading.file import Damage, RecordingFile

_LONGEST_IDLE = 3600.0  # seconds for which nothing runs in a graph that is alive
_LONGEST_PERIOD = 86_400.0


class SessionFiles:
    """The folder of a session and the files in it: found, checked to belong together, opened.

    One that is being recorded reads up to where it was when it was opened, however often it is read.

    Args:
        folder: the session's folder.

    Attributes:
        name: the folder's name.
        id: the session's, as in the names of its files.
        header: that of the scheduler file; where it does not read, that of another file.
        state: "complete", "running" or "recovered" (it ended without being closed; everything up to the cut reads).
        damage: what is in the folder under a recording's name but cannot be read as one, and which files are gone.
        missing: the files that are gone.

    Raises:
        RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.name = self.folder.name
        self.damage: list[Damage] = []
        self.missing: list[Path] = []
        self._files: dict[str, list[Path]] = {}
        self._sizes: dict[str, int] = {}
        found = list(self._recording_files())
        schedulers = [match for match in found if match["stem"] == "scheduler"]
        if not schedulers:
            raise RecordingMissing(
                str(folder), "the folder holds no scheduler@... file; 'horus record list' shows sessions"
            )
        self.id = schedulers[0]["id"]
        for match in found:
            if match["id"] == self.id:
                self._files.setdefault(match["stem"], []).append(self.folder / match.string)
            else:
                self._ignore(self.folder / match.string, "it belongs to another session")
        self.state = self._state()
        self.header = self._first_header()
        if self.state != "running":  # else a part is just being made
            self._note_missing()

    def _recording_files(self) -> Iterator[re.Match[str]]:
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        found = [match for name in names if (match := FILE_NAME.match(name))]
        for match in sorted(found, key=lambda match: (int(match["part"] or 0), match.string)):
            path = self.folder / match.string
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                self._sizes[match.string] = status.st_size
                yield match
            else:
                self._ignore(path, "it is not a regular file")

    def _ignore(self, path: Path, why: str) -> None:
        self.damage.append(Damage(str(path), -1, -1, f"{why}, so it is left out", whole=True))

    def _note_missing(self) -> None:
        """Every part has a file for the ticks, one for each node and one for the events: those that are gone are damage."""
        parts = sorted({self.part_of(path) for path in self.paths()})
        for before, after in pairwise(parts):
            if after > before + 1:
                what = f"between parts {before} and {after} there is nothing"
                self.damage.append(Damage(str(self.folder), -1, -1, what, whole=True))
        found = [match for name in os.listdir(self.folder) if (match := FILE_NAME.match(name))]
        there = {(match["stem"], int(match["part"] or 0)) for match in found if match["id"] == self.id}
        for part in parts:
            for stem in ("scheduler", *map(file_stem, self._publishers()), "events"):
                if (stem, part) not in there:
                    path = self.folder / file_name(stem, self.id, part)
                    self.missing.append(path)
                    self.damage.append(Damage(str(path), *self._ticks_of(part), "it is gone", whole=True))

    def _ticks_of(self, part: int) -> tuple[int, int]:
        """The first and the last tick of a part by its scheduler's file; -1 where that does not tell."""
        marks: list[BatchMark] = []
        for path in self._files["scheduler"]:
            if self.part_of(path) == part:
                with contextlib.suppress(RecordingError):
                    marks += [seal for seal in self.open_file(path).marks() if seal.rows]
        return min((seal.first for seal in marks), default=-1), max((seal.last for seal in marks), default=-1)

    def _first_header(self) -> Header:
        problems: list[RecordingError] = []
        for path in self.paths():
            try:
                header = RecordingFile(path).header
                self._check_id(path, header)
            except RecordingError as problem:
                problems.append(problem)
                if isinstance(problem, RecordingTooNew):
                    break
                continue
            return msgspec.structs.replace(header, kind="scheduler", node="", part=0)
        raise problems[0]

    @property
    def graph(self) -> GraphRecord:
        """The recorded graph."""
        return self.header.graph

    def _publishers(self) -> list[str]:
        return list(
            dict.fromkeys(
                [node.name for node in self.graph.nodes] + [lane.node for lane in self.graph.lanes if lane.recorded]
            )
        )

    @property
    def senders(self) -> list[str]:
        """All that messages may be recorded of: the graph's nodes, then who else published on its topics."""
        known = self._publishers()
        stems = {file_stem(name) for name in known} | {"scheduler", "events"}
        return [*known, *(unquote(stem) for stem in sorted(self._files) if stem not in stems)]

    def paths(self) -> list[Path]:
        """All Arrow files, scheduler first."""
        stems = sorted(self._files, key=lambda stem: (stem != "scheduler", stem == "events", stem))
        return [path for stem in stems for path in self._files[stem]]

    def files(self, stem: str, damage: list[Damage] | None = None) -> list[RecordingFile]:
        """The parts of one file, opened, in order: ``"scheduler"``, ``"events"`` or :func:`file_stem` of a node.

        Args:
            stem: which file.
            damage: what does not open is noted there and left out; without it, it raises.
        """
        return list(self._opened(stem, damage))

    def _opened(self, stem: str, damage: list[Damage] | None) -> Iterator[RecordingFile]:
        """The same, each opened when it is its turn: a long session has more parts than a process may open files."""
        for path in self._files.get(stem, []):
            try:
                file = self.open_file(path)
            except RecordingError as problem:
                if damage is None:
                    raise
                ticks = self._ticks_of(self.part_of(path))
                damage.append(Damage(str(path), *ticks, f"it cannot be opened: {problem}", whole=True))
            else:
                yield file

    def open_file(self, path: Path) -> RecordingFile:
        """Opens one of :meth:`paths`.

        Raises:
            RecordingMissing, NotARecording, RecordingTooNew: see their words.
            RecordingDamaged: it is another file than its name says.
        """
        named = self.header_named(path)
        file = RecordingFile(path, named, self.state == "running", self._sizes[path.name])
        self._check_place(path, file.header)
        return file

    def _check_place(self, path: Path, header: Header) -> None:
        self._check_id(path, header)
        named = self.header_named(path)
        if (header.kind, header.node, header.part) != (named.kind, named.node, named.part):
            inside = f"{header.kind} {header.node[:100]}".strip()
            raise RecordingDamaged(str(path), "at its start", f"it is the file of {inside!r}, part {header.part}")

    def _check_id(self, path: Path, header: Header) -> None:
        if header.id != self.id:
            raise RecordingDamaged(str(path), "at its start", f"it is a file of another session, {header.id}")

    def misplaced(self) -> list[str]:
        """Why files are not what their names say, or have no header: as :meth:`open_file` says, in less time."""
        problems = []
        for path in self.paths():
            try:
                self._check_place(path, read_header(FileContent(path, self._sizes[path.name]), path)[1])
            except RecordingError as problem:
                problems.append(str(problem))
        return problems

    def header_named(self, path: Path) -> Header:
        """The header that the name of a file implies."""
        match = FILE_NAME.match(path.name)
        assert match is not None
        part, stem = int(match["part"] or 0), match["stem"]
        if stem in ("scheduler", "events"):
            return msgspec.structs.replace(self.header, kind=stem, node="", part=part)
        node = next((name for name in self.senders if file_stem(name) == stem), unquote(stem))
        return msgspec.structs.replace(self.header, kind="node", node=node, part=part)

    def _size_of(self, stem: str) -> int:
        return sum(self._sizes[path.name] for path in self._files[stem])

    @staticmethod
    def part_of(path: Path) -> int:
        """Which part of a session's files this is."""
        match = FILE_NAME.match(path.name)
        return int(match["part"] or 0) if match else 0

    def _state(self) -> str:
        if is_being_written(self._files["scheduler"][-1]):
            return "running"
        whole = all(_closed(path) for paths in self._files.values() for path in paths)
        return "complete" if whole else "recovered"

    @property
    def begins(self) -> bool:
        """Whether the first part is there; not where a ring has dropped old parts."""
        return self.part_of(self._files["scheduler"][0]) == 0

    def has_file(self, node: str) -> bool:
        """Whether there is a file for the messages of `node`."""
        return file_stem(node) in self._files


def _closed(path: Path) -> bool:
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        size = os.fstat(descriptor).st_size
        return size > len(MAGIC) and os.pread(descriptor, len(MAGIC), size - len(MAGIC)) == MAGIC
    finally:
        os.close(descriptor)
