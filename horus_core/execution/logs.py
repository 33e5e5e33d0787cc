"""Log files of nodes: what a node printed and logged, line by line.

A recorded graph's are in its session, ``logs/NODE.log``. Those of a graph that is not recorded are under
``$XDG_STATE_HOME/horus/logs/<graph id>/``; they are kept for the last 20 such graphs, and a file that has grown to 8 MB
becomes ``NODE.log.1`` and is started anew, so a robot that runs for months does not fill its disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from horus_core.errors import UnknownNode
from horus_core.memory.shared import graphs_in_memory
from horus_core.processes.home import has_no_home, user_folder
from horus_core.processes.own_files import make_folder, opener
from horus_core.recording.format.names import file_stem
from horus_core.recording.keeping.sessions import recordings_folder, session_names

KEPT_GRAPHS = 20
FULL = 8_000_000  # bytes
_POLL_SECONDS = 0.1


def logs_folder() -> Path:
    """Where graphs that are not recorded log: ``$XDG_STATE_HOME/horus/logs``, else under ``~/.local/state``."""
    return user_folder("XDG_STATE_HOME", ".local/state") / "logs"


class NodeLog:
    """The log file of a node, written line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._file = open(  # noqa: SIM115 - closed by close
            self._path, "a", buffering=1, encoding="utf-8", errors="replace", opener=opener
        )
        self._size = self._file.tell()

    def write(self, text: str) -> None:
        """Appends `text`, and starts the file anew if it is full."""
        self._file.write(text)
        self._size += len(text)
        if self._size > FULL:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._open()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class GraphLogs:
    """The logs of a graph that is not recorded.

    Args:
        graph: its id.
    """

    def __init__(self, graph: str) -> None:
        self.folder = logs_folder() / graph

    def open(self, node: str) -> NodeLog | None:
        """The log of `node`; None if the folder cannot be written: a robot runs without logs, too."""
        try:
            if has_no_home(self.folder):
                return None
            if not self.folder.is_dir():
                make_folder(self.folder)
                _forget_old(self.folder.parent)
            return NodeLog(self.folder / f"{file_stem(node)}.log")
        except OSError:
            return None


def _forget_old(folder: Path) -> None:
    """Removes all but the newest; never those of a graph that runs."""
    alive = graphs_in_memory()
    graphs = sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for each in graphs[:-KEPT_GRAPHS]:
        if not alive.get(each.name):
            shutil.rmtree(each, ignore_errors=True)


def find_log(node: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The log of `node` in `folder`; without one, the newest of all sessions and graphs that are not recorded.

    Raises:
        UnknownNode: nothing is logged under that name.
    """
    folders = [Path(folder)] if folder is not None else all_folders()
    found = [path for each in folders if _is_log(path := each / f"{file_stem(node)}.log")]
    if not found:
        where = str(folders[0]) if folder is not None else "what was logged"
        raise UnknownNode(where, node, tuple(sorted({name for each in folders for name in logged_nodes(each)})))
    return max(found, key=lambda path: path.stat().st_mtime)


def _is_log(path: Path) -> bool:
    """No pipe that would be waited for, and no link out of a recording that somebody gave us."""
    return path.is_file() and not path.is_symlink()


def logged_nodes(folder: Path) -> list[str]:
    """The nodes that have a log in `folder`."""
    from urllib.parse import unquote

    return sorted(unquote(path.stem) for path in folder.glob("*.log"))


def all_folders() -> list[Path]:
    """The folders of all logs: of the sessions, and of graphs that are not recorded."""
    folders = [recordings_folder() / name / "logs" for name in session_names()]
    with contextlib.suppress(OSError):
        folders += [each for each in logs_folder().iterdir() if each.is_dir()]
    return folders


def last_lines(path: Path, count: int | None) -> list[str]:
    """The last `count` lines of a log and of the older file that it followed; all if None."""
    older = path.with_name(path.name + ".1")
    lines: list[str] = []
    for each in (older, path) if _is_log(older) else (path,):
        with each.open(encoding="utf-8", errors="replace") as file:
            lines += file.read().splitlines()
    return lines if count is None else lines[len(lines) - min(count, len(lines)) :]


def follow(path: Path, count: int | None, goes_on: Callable[[], bool]) -> Iterator[str]:
    """The last `count` lines of a log, then every line as it comes, for as long as `goes_on()` and up to the end then."""
    file = path.open(encoding="utf-8", errors="replace")
    *lines, rest = file.read().split("\n")
    yield from lines if count is None else lines[max(0, len(lines) - count) :]
    try:
        while True:
            # Before the look: what is written until now, into this file or a new one, is still read below.
            goes, replaced = goes_on(), _replaced(path, file)
            *lines, rest = (rest + file.read()).split("\n")
            yield from lines
            if replaced:
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
            elif not goes:
                break
            elif not lines:
                time.sleep(_POLL_SECONDS)
    finally:
        file.close()
    if rest:
        yield rest


def _replaced(path: Path, file: IO[str]) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
