"""The folder of sessions: where it is, what is in it, names that are allowed, finding and deleting.

Only finding a session imports pyarrow.
"""

from __future__ import annotations

import fcntl
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
from horus_core.recording.format.names import FILE_NAME, STARTING, is_being_written

if TYPE_CHECKING:
    from horus_core.recording.reading.reader import Session

_OTHER_ENTRIES = {STARTING, "logs", "source"}
_starting: dict[Path, int] = {}  # folders that this process has made, and the descriptors that hold their locks
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
        name: its name, see :func:`check_name`; one with ``{date}`` gets a number behind it if that is taken.
        overwrite: replace a finished session of that name.

    Raises:
        RecordingExists: there is one already.
        OutputFailed: the disk does not take it, or there is no home folder.
    """
    filled, number = check_name(name), 1
    if has_no_home(recordings_folder()):
        raise OutputFailed(f"session {filled!r}", "this user has no home folder; set HORUS_RECORDINGS to a folder")
    while True:
        folder = recordings_folder() / (filled if number == 1 else f"{filled}_{number}")
        if (overwrite and folder.is_dir()) or is_left_over(folder):
            delete_session(folder.name)
        try:
            make_folder(folder.parent)
            make_folder_in(folder)
            _mark_starting(folder)
        except FileExistsError:
            if "{date}" not in name or not os.path.lexists(folder):  # a second has one date
                raise RecordingExists(folder.name) from None
            number += 1
        except OSError as problem:
            raise OutputFailed(str(problem.filename or folder), problem.strerror or str(problem)) from None
        else:
            return folder


def let_go_of_started() -> None:
    """Closes what says that sessions of this process are about to be recorded, where they are by now, or are gone."""
    for folder, descriptor in list(_starting.items()):
        if not (folder / STARTING).exists():
            os.close(descriptor)
            del _starting[folder]


def _mark_starting(folder: Path) -> None:
    """Says in a new session's folder that its recorder has not begun; a lock says so as long as this process lives."""
    let_go_of_started()
    descriptor = os.open(folder / STARTING, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _starting[folder] = descriptor


def begun(folder: Path) -> None:
    """Says that there is a recording in a folder that :func:`new_session_folder` made."""
    (folder / STARTING).unlink(missing_ok=True)


def is_left_over(folder: Path) -> bool:
    """Whether a folder is what a run left that was killed while it started: no recording, and nobody about to make one."""
    marker = folder / STARTING
    return (
        not folder.is_symlink()
        and marker.is_file()
        and not is_being_written(marker)
        and not any(FILE_NAME.match(name) for name in os.listdir(folder))
    )


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
    folder = _folder_named(name)
    if folder is None or not folder.is_dir():
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
    """Deletes a session, readable or not; of a link to one, the link.

    Args:
        name: its folder's name, whatever that is, or the name as it is shown where it cannot be printed.

    Returns:
        Whether there was one.

    Raises:
        InvalidValue: no session can have such a name.
        NotARecording: it is a folder of something else.
        SchedulerBusy: it is being recorded.
    """
    folder = deletable_folder(name)
    if folder is None:
        return False
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    return True


def deletable_folder(name: str) -> Path | None:
    """What :func:`delete_session` would delete: a session's folder, or the link to one; raises as it does."""
    folder = _folder_named(name)
    if folder is None:
        check_name(name)
        return None
    if folder.is_symlink():
        return folder if not folder.exists() or _is_session(folder) else None
    if not folder.is_dir():
        return None
    names = os.listdir(folder)
    if (set(names) - _OTHER_ENTRIES) and not any(FILE_NAME.match(each) for each in names):
        raise NotARecording(str(folder), "a folder without recordings", "delete it yourself if you mean it")
    if any(is_being_written(path) for path in [*_scheduler_files(folder), folder / STARTING]):
        raise SchedulerBusy(f"cannot delete session {name!r}", "still recording it; stop that run first")
    return folder


def _folder_named(name: str) -> Path | None:
    """What is in the recordings' folder under that name, or under a name that is shown so; None if nothing."""
    base = recordings_folder()
    if name in ("", ".", "..") or os.sep in name or "\0" in name or _too_long(name):
        return None
    if os.path.lexists(base / name):
        return base / name
    if "\\" in name and base.is_dir():
        return next((entry for entry in base.iterdir() if shown_name(entry.name) == name), None)
    return None


def shown_name(name: str) -> str:
    """A folder's name as it is shown: what cannot be printed, as Python writes it.

    >>> shown_name("a\\nb")
    'a\\\\nb'
    """
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in name)


def _is_session(folder: Path) -> bool:
    try:
        return folder.is_dir() and (bool(_scheduler_files(folder)) or is_left_over(folder))
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
