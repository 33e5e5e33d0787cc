"""All sessions at a glance, those that cannot be opened included."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from horus_core.errors import HorusError, RecordingMissing, closest
from horus_core.recording.keeping.sessions import deletable_folder, find_session, recordings_folder, session_names
from horus_core.recording.reading.summary import SessionOverview, overview


class Unreadable(msgspec.Struct, frozen=True):
    """A session that cannot be opened, and why."""

    name: str
    problem: str


class Listing(msgspec.Struct, frozen=True):
    """What is in the folder of sessions.

    Attributes:
        folder: where it is.
        sessions: the oldest first.
        unreadable: what cannot be opened.
    """

    folder: str
    sessions: list[SessionOverview]
    unreadable: list[Unreadable]


def list_sessions(names: Sequence[str] | None = None, count_messages: bool = False) -> Listing:
    """The recorded sessions.

    Args:
        names: only these; by default all.
        count_messages: see :func:`horus_core.recording.reading.summary.overview`.
    """
    found, unreadable = [], []
    for name in session_names() if names is None else names:
        try:
            found.append(overview(find_session(name), count_messages))
        except (HorusError, OSError) as problem:
            unreadable.append(Unreadable(name, str(problem)))
    found.sort(key=lambda session: (session.created_ns, session.name))
    return Listing(str(recordings_folder()), found, unreadable)


SORTS = ("name", "date", "duration", "ticks", "size")


def selected(
    listing: Listing, since_ns: int | None = None, larger: int | None = None, failed: bool = False, sort: str = "date"
) -> Listing:
    """The sessions of `listing` that are wanted, in the order that is.

    Args:
        listing: what there is.
        since_ns: only those recorded at this time or later, in ns since 1970.
        larger: only those of more bytes than that.
        failed: only those that a failure or a kill ended, and what cannot be opened.
        sort: one of `SORTS`; by date, the oldest first, by duration, ticks and size the largest first.
    """
    found = [
        each
        for each in listing.sessions
        if (since_ns is None or each.created_ns >= since_ns)
        and (larger is None or each.size > larger)
        and (each.failed or not failed)
    ]
    if sort == "name":
        found.sort(key=lambda each: each.name)
    elif sort != "date":
        found.sort(key=lambda each: getattr(each, sort), reverse=True)
    return Listing(listing.folder, found, listing.unreadable)


def deletable_size(name: str) -> int:
    """The bytes that deleting a session frees; it need not be readable.

    Raises:
        InvalidValue: no session can have such a name.
        RecordingMissing: there is none of that name.
        NotARecording: it is a folder of something else.
        SchedulerBusy: it is being recorded.
    """
    folder = deletable_folder(name)
    if folder is None:
        known = session_names()
        raise RecordingMissing(repr(name), f"'horus record list' shows what there is{closest(name, known)}")
    paths = [Path(place, each) for place, _, names in os.walk(folder) for each in names]
    return sum(path.lstat().st_size for path in paths)
