"""The flight recorder: the last N MB of a graph, in shared memory, saved as a normal session when something happens.

It is a recording in ring mode whose folder lies in /dev/shm: no disk traffic, and it outlives every process of the graph. What
a graph that was killed left there is saved by the next start on this machine, or by :func:`save_leftovers`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import msgspec

from horus_core.errors import NotRunning
from horus_core.inspection.running_graphs import running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import L_COMMIT
from horus_core.memory.shared import SHM, graphs_in_memory
from horus_core.processes.own_files import copy_own, is_own_folder, open_own, write_own
from horus_core.recording.format.names import FILE_NAME, is_being_written
from horus_core.recording.keeping.sessions import begun, free_session_name, new_session_folder, session_names

_PREFIX = "horus-blackbox-"
_PATIENCE_SECONDS, _POLL_SECONDS = 2.0, 0.01


def make_blackbox(graph: str, name: str) -> Path:
    """Makes the folder for the flight recorder of the graph with that id and name."""
    folder = SHM / f"{_PREFIX}{graph}"
    folder.mkdir(mode=0o700)
    write_own(folder / "name", name.encode())
    return folder


def blackboxes() -> dict[Path, bool]:
    """The flight recorders of this user in shared memory; True for those that are being written."""
    found, graphs = {}, graphs_in_memory()
    for folder in sorted(SHM.glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):  # it has just been removed
            if not is_own_folder(folder):
                continue
            names = [match for path in folder.iterdir() if (match := FILE_NAME.match(path.name))]
            files = [folder / match.string for match in names if match["stem"] == "scheduler"]
            graph = folder.name.removeprefix(_PREFIX)
            found[folder] = graphs.get(graph, False) or any(is_being_written(path) for path in files)
    return found


def save_blackbox(folder: Path, name: str | None = None) -> Path | None:
    """Copies what a flight recorder holds now into a new session: all that was sent before the call, if the graph runs.

    Args:
        folder: one of :func:`blackboxes`.
        name: the session's name; None: ``blackbox_``, the graph's name and the date.

    Returns:
        The session's folder, None if nothing was recorded yet.
    """
    _wait_for_recorder(folder.name.removeprefix(_PREFIX))
    files = [path for path in folder.iterdir() if FILE_NAME.match(path.name)]
    if not any(path.name.startswith("scheduler@") for path in files):
        return None
    session = new_session_folder(name or free_session_name(f"blackbox_{_graph_of(folder)}"))
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        with contextlib.suppress(FileNotFoundError):  # the ring moved on
            copy_own(path, session / path.name)
    begun(session)
    return session


def _wait_for_recorder(graph: str) -> None:
    """Returns when the recorder has written what the lanes of a running graph hold now; it does so a few times a second."""
    found = next((each for each in running_graphs() if each.id == graph), None)
    if found is None:
        return
    try:
        attached = Attachment(found, read_only=True)
    except NotRunning:
        return
    control, layout = attached.control, attached.layout
    committed = [control[layout.lane(lane) + L_COMMIT] for lane in range(layout.lanes)]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while attached.alive and time.monotonic() < deadline:
        if all(control[layout.floor(lane, None)] >= count for lane, count in enumerate(committed)):
            return
        time.sleep(_POLL_SECONDS)


def remove_blackbox(folder: Path) -> None:
    """Takes a flight recorder out of shared memory."""
    shutil.rmtree(folder, ignore_errors=True)


def save_leftovers() -> list[Path]:
    """Saves what the flight recorders of killed graphs hold, and takes them out of shared memory.

    Returns:
        The folders of the sessions made.
    """
    saved = []
    for folder, alive in blackboxes().items():
        if alive:
            continue
        session = save_blackbox(folder)
        if session is not None:
            saved.append(session)
        remove_blackbox(folder)
    return saved


class Blackbox(msgspec.Struct, frozen=True):
    """A flight recorder in shared memory; `size` in bytes."""

    id: str
    graph: str
    size: int
    alive: bool


class Blackboxes(msgspec.Struct, frozen=True):
    """The flight recorders in shared memory, and the names of sessions that were saved of some."""

    in_memory: list[Blackbox]
    saved: list[str]


def describe_blackboxes() -> Blackboxes:
    """What :func:`blackboxes` finds, in words, and the saved sessions."""
    found = [
        Blackbox(
            folder.name.removeprefix(_PREFIX),
            _graph_of(folder),
            sum(path.stat().st_size for path in folder.iterdir()),
            alive,
        )
        for folder, alive in blackboxes().items()
    ]
    return Blackboxes(found, [name for name in session_names() if name.startswith("blackbox_")])


def save_blackbox_of(graph: str | None = None, name: str | None = None) -> Path:
    """Saves the flight recorder of a graph.

    Args:
        graph: its name or id; may be left out if there is only one.
        name: as for :func:`save_blackbox`.

    Returns:
        The session's folder.

    Raises:
        NotRunning: there is none, several to choose from, or nothing in it yet.
    """
    there = {folder: _graph_of(folder) for folder in blackboxes()}
    fitting = [folder for folder, known in there.items() if graph in (None, known, folder.name.removeprefix(_PREFIX))]
    names = ", ".join(f"{known} ({folder.name.removeprefix(_PREFIX)})" for folder, known in there.items()) or "none"
    if len(fitting) != 1:
        raise NotRunning("with that one flight recorder", f"flight recorders in memory: {names}; give a name or an id")
    saved = save_blackbox(fitting[0], name)
    if saved is None:
        raise NotRunning("with anything in its flight recorder yet", "try again in a second")
    return saved


def _graph_of(folder: Path) -> str:
    with contextlib.suppress(OSError), open(open_own(folder / "name"), encoding="utf-8", errors="replace") as file:
        return file.read() or "graph"
    return "graph"
