"""The folder of sessions: where it is, what is in it, names that are allowed, finding and deleting.

Only finding a session imports pyarrow.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from horus_core.errors import (
    InvalidValue,
    NotARecording,
    OutputFailed,
    RecordingExists,
    RecordingMissing,
    SchedulerBusy,
    closest,
)
from horus_core.processes.home import expanded, has_no_home, user_folder
from horus_core.processes.own_files import make_folder, make_folder_in
from horus_core.recording.format.names import FILE_NAME, is_being_written

if TYPE_CHECKING:
    from horus_core.recording.reading.reader import Session

_NAME = re.compile(r"^[^\W_][\w. +-]{0,99}$")


def recordings_folder() -> Path:
    """Where sessions are kept: ``$HORUS_RECORDINGS``, ``$XDG_DATA_HOME/horus/recordings`` or the same in ``~/.local/share``."""
    chosen = os.environ.get("HORUS_RECORDINGS")
    if chosen:
        return expanded(chosen)
    return user_folder("XDG_DATA_HOME", ".local/share") / "recordings"


def check_name(name: str) -> str:
    """`name` with ``{date}`` filled in, if a session may be called so.

    Raises:
        InvalidValue: it is empty, too long, or holds what a file name should not.
    """
    filled = name.replace("{date}", datetime.now().strftime("%Y%m%d_%H%M%S"))
    if not _NAME.match(filled) or filled != filled.strip():
        raise InvalidValue(
            "the session name",
            repr(name)[:120],
            "1 to 100 letters, digits, '_', '-', '.', '+' or spaces, starting with a letter or digit",
        )
    return filled


def new_session_folder(name: str, overwrite: bool = False) -> Path:
    """Makes the folder for a new session.

    Args:
        name: its name, see :func:`check_name`.
        overwrite: replace a finished session of that name.

    Raises:
        RecordingExists: there is one already.
        OutputFailed: the disk does not take it, or there is no home folder.
    """
    folder = recordings_folder() / check_name(name)
    if has_no_home(folder):
        raise OutputFailed(f"session {folder.name!r}", "this user has no home folder; set HORUS_RECORDINGS to a folder")
    if overwrite and folder.is_dir():
        delete_session(folder.name)
    try:
        make_folder(folder.parent)
    except OSError as problem:
        raise OutputFailed(str(folder.parent), problem.strerror or str(problem)) from None
    try:
        make_folder_in(folder)
    except FileExistsError:
        raise RecordingExists(folder.name) from None
    except OSError as problem:
        raise OutputFailed(str(folder), problem.strerror or str(problem)) from None
    return folder


def free_session_name(base: str) -> str:
    """`base` and the date, with a number behind it if that is taken."""
    stem = re.sub(r"[^\w.+-]", "_", base).strip("_.")[:60] or "session"
    stem = check_name(f"{stem}_{{date}}")
    name, number = stem, 2
    while (recordings_folder() / name).exists():
        name, number = f"{stem}_{number}", number + 1
    return name


def session_names() -> list[str]:
    """The names of all sessions, sorted."""
    folder = recordings_folder()
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and _is_session(entry))


def find_session(name: str) -> Session:
    """The session of that name, or at that path (its folder, or any file in it).

    Raises:
        RecordingMissing: there is none; the message names the closest.
    """
    from horus_core.recording.reading.reader import Session

    path = _existing(name) if os.sep in name else None
    if path is not None:
        return Session(path if path.is_dir() else path.parent)
    folder = recordings_folder() / name
    if name in ("", ".", "..") or os.sep in name or _too_long(name) or not folder.is_dir():
        known = session_names()
        raise RecordingMissing(repr(name), f"'horus record list' shows what there is{closest(name, known)}")
    return Session(folder)


def _existing(path: str) -> Path | None:
    try:
        found = Path(path).expanduser()
        return found if found.exists() else None
    except (RuntimeError, OSError):  # a home of nobody's, too long a name, a folder that may not be entered
        return None


def _too_long(name: str) -> bool:
    return len(name.encode(errors="replace")) > 255


def delete_session(name: str) -> bool:
    """Deletes a session, readable or not.

    Returns:
        Whether there was one.

    Raises:
        InvalidValue: no session can have such a name.
        NotARecording: it is a folder of something else.
        SchedulerBusy: it is being recorded.
    """
    folder = deletable_folder(name)
    if folder is not None:
        shutil.rmtree(folder)
    return folder is not None


def deletable_folder(name: str) -> Path | None:
    """The folder of a session that may be deleted, None if there is none; raises as :func:`delete_session`."""
    folder = recordings_folder() / check_name(name)
    if not folder.is_dir() or folder.is_symlink():
        return None
    names = os.listdir(folder)
    if names and not any(FILE_NAME.match(each) for each in names):
        raise NotARecording(str(folder), "a folder without recordings", "delete it yourself if you mean it")
    if any(is_being_written(path) for path in _scheduler_files(folder)):
        raise SchedulerBusy(f"cannot delete session {name!r}", "still recording it; stop that run first")
    return folder


def _is_session(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(_scheduler_files(folder))
    except FileNotFoundError:  # it was just deleted
        return False
    except PermissionError:  # it may be: whoever opens it is told
        return True


def _scheduler_files(folder: Path) -> list[Path]:
    return [
        entry
        for entry in sorted(folder.iterdir())
        if (match := FILE_NAME.match(entry.name)) and match["stem"] == "scheduler" and not entry.is_symlink()
    ]
