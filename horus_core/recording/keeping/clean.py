"""Clears old sessions away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from horus_core.errors import HorusError, InvalidValue
from horus_core.recording.format.names import FILE_NAME, is_being_written
from horus_core.recording.keeping.sessions import delete_session, recordings_folder, session_names
from horus_core.recording.reading.reader import Session

_DAY = 86_400.0


class CleanedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was deleted, or would be: name, bytes, age in days, and why ("age" or "size")."""

    name: str
    size: int
    age_days: float
    why: str


class CleanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was cleared away.

    Attributes:
        deleted: the sessions, the oldest first; with `dry_run` those that would be.
        freed: bytes.
        kept, kept_size: what is left: sessions, and bytes of these.
        running: sessions that are being recorded and so were not looked at any further.
        failed: sessions that could not be deleted, and why.
        dry_run: nothing was deleted.
    """

    deleted: list[CleanedSession]
    freed: int
    kept: int
    kept_size: int
    running: list[str]
    failed: dict[str, str]
    dry_run: bool


class _Candidate(msgspec.Struct):
    name: str
    size: int
    age_days: float


def clean(
    max_age_days: float | None = None,
    max_size: int | None = None,
    dry_run: bool = False,
    clock: Callable[[], float] = time.time,
) -> CleanReport:
    """Deletes sessions that are too old, then the oldest until the rest is small enough. Never one that is being recorded.

    Args:
        max_age_days: sessions that were made longer ago than this go.
        max_size: bytes that all sessions together may have.
        dry_run: only say what would go.
        clock: gives the time, in seconds since 1970.

    Raises:
        InvalidValue: a bound is negative, or there is none.

    >>> clean(max_age_days=30, dry_run=True).freed  # doctest: +SKIP
    1200000000
    """
    for what, bound in (("max_age_days", max_age_days), ("max_size", max_size)):
        if bound is not None and not bound >= 0:
            raise InvalidValue(what, repr(bound), "a number of at least 0")
    if max_age_days is None and max_size is None:
        raise InvalidValue("what to clean", "not given", "max_age_days, max_size or both")
    candidates, running = _candidates(clock())
    left = sum(each.size for each in candidates)
    deleted, failed = list[CleanedSession](), dict[str, str]()
    for each in sorted(candidates, key=lambda each: -each.age_days):
        too_old = max_age_days is not None and each.age_days > max_age_days
        if not too_old and not (max_size is not None and left > max_size):
            continue
        problem = "" if dry_run else _delete(each.name)
        if problem:
            failed[each.name] = problem
            continue
        left -= each.size
        why = "age" if too_old else "size"
        deleted.append(CleanedSession(name=each.name, size=each.size, age_days=each.age_days, why=why))
    return CleanReport(
        deleted=deleted,
        freed=sum(each.size for each in deleted),
        kept=len(candidates) - len(deleted),
        kept_size=left,
        running=running,
        failed=failed,
        dry_run=dry_run,
    )


def _candidates(now: float) -> tuple[list[_Candidate], list[str]]:
    found, running = [], []
    for name in session_names():
        folder = recordings_folder() / name
        if folder.is_symlink():
            continue
        if _is_running(folder):
            running.append(name)
        else:
            found.append(_Candidate(name, _size(folder), max(now - _when(folder), 0.0) / _DAY))
    return found, running


def _is_running(folder: Path) -> bool:
    return any(is_being_written(path) for path in folder.iterdir() if FILE_NAME.match(path.name))


def _when(folder: Path) -> float:
    """When a session was made; where no file of it tells, when its folder last changed."""
    try:
        return Session(folder).header.created_ns / 1e9
    except (HorusError, OSError):
        return folder.stat().st_mtime


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(os.path.join(place, name)).st_size
    return total


def _delete(name: str) -> str:
    """Deletes a session. Returns why it could not be, '' if it was."""
    try:
        delete_session(name)
    except (HorusError, OSError) as problem:
        return str(problem)
    return ""
