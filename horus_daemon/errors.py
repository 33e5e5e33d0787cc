"""What goes wrong with the daemon or between it and a client."""

from __future__ import annotations

from horus_core.errors import HorusError, closest


class DaemonNotRunning(HorusError, RuntimeError):
    """The caller's: no daemon answers. Args: where it was looked for, how to start it."""

    words = "horusd does not run (looked in {0}); start it with {1!r}"


class DaemonRuns(HorusError, RuntimeError):
    """The caller's: a second daemon for the same user. Args: pid of the first (0: not known), its folder."""

    def __str__(self) -> str:
        pid, folder = self.args
        return f"horusd runs already{f', with pid {pid}' if pid else ''} ({folder}); there is one for each user"


class DaemonDied(HorusError, RuntimeError):
    """The machine's: the daemon ended as soon as it was started. Args: its exit code, what it said."""

    words = "horusd ended with code {0} when it was started: {1}"


class DaemonSilent(HorusError, TimeoutError):
    """The daemon's: it did not answer. Args: what was asked, seconds."""

    words = "horusd has not answered {0!r} within {1:g} s; 'horus daemon logs' may say why"


class DaemonForbidden(HorusError, PermissionError):
    """The caller's: it may not talk to this daemon. Args: the socket."""

    words = "{0} may not be used by you; for the system's daemon you need to be in the group 'horus' (log in again after that)"


class DaemonRefused(HorusError, RuntimeError):
    """The daemon refused a request. Args: a code for programs, why."""

    words = "{1}"

    @property
    def code(self) -> str:
        """One of the codes of :class:`horus_daemon.daemon_to_client.Refused`."""
        return str(self.args[0])


class UnsafeFolder(HorusError, RuntimeError):
    """The machine's: a folder that others could tamper with, or cannot be used. Args: the folder, what is wrong, remedy."""

    words = "{0} cannot hold the daemon's files: {1}; {2}"


class GraphFailed(HorusError, RuntimeError):
    """A graph did not start. Args: its name, why, its log file."""

    words = "graph {0!r} did not start: {1} (its log: {2})"


class UnknownGraph(HorusError, KeyError):
    """The caller's: the daemon has no graph of that name. Args: it, the names that there are."""

    def __str__(self) -> str:
        name, known = self.args
        return f"there is no graph {name!r} (there are: {', '.join(known) or 'none'}){closest(name, known)}"
