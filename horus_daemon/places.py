"""Where the daemon's files are, and who may touch them.

    runtime   control.sock, events.sock, horusd.lock             0700, of the system's daemon 0770
    state     graphs.json: what should run; graphs/: what does   0700
    logs      horusd.log, NAME.log, and rotated ones             0700, of the system's daemon 0750

A user's daemon keeps them in the user's runtime directory and under ``$XDG_STATE_HOME`` (``~/.local/state``), the system's in
``/run/horus``, ``/var/lib/horus`` and ``/var/log/horus``, or wherever systemd says in ``$RUNTIME_DIRECTORY`` and its like.
Whoever can write in `runtime` can make the daemon run code as its user; see docs/security.md.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from horus_core.inspection.running_graphs import runtime_folder
from horus_core.processes.home import expanded, has_no_home
from horus_daemon.errors import UnsafeFolder

_SOCKET_PATH_MOST = 107  # bytes, of an AF_UNIX address


@dataclass(frozen=True)
class Places:
    """The folders of one daemon.

    Args:
        runtime, state, logs: see above.
        shared: whether the group may use the control sockets and read the logs.
    """

    runtime: Path
    state: Path
    logs: Path
    shared: bool = False

    @property
    def control(self) -> Path:
        """The socket for commands."""
        return self.runtime / "control.sock"

    @property
    def events(self) -> Path:
        """The socket for events."""
        return self.runtime / "events.sock"

    @property
    def locks(self) -> tuple[Path, Path]:
        """Locked by the daemon for as long as it lives: its sockets, and its state; they hold its pid."""
        return self.runtime / "horusd.lock", self.state / "horusd.lock"

    @property
    def graphs(self) -> Path:
        """The state file."""
        return self.state / "graphs.json"

    @property
    def supervisors(self) -> Path:
        """The folder with a lock and a run file per graph."""
        return self.state / "graphs"

    @property
    def daemon_log(self) -> Path:
        """The daemon's own log."""
        return self.logs / "horusd.log"

    @property
    def socket_mode(self) -> int:
        """The mode of both sockets."""
        return 0o660 if self.shared else 0o600

    @property
    def log_mode(self) -> int:
        """The mode of log files."""
        return 0o640 if self.shared else 0o600

    def graph_log(self, name: str) -> Path:
        """The log of a graph."""
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Makes the folders, each with its mode.

        Raises:
            UnsafeFolder: one of them is another user's, a link, or not a folder; or the sockets' paths are too long.
        """
        _prepare(self.runtime, 0o770 if self.shared else 0o700)
        _prepare(self.state, 0o700)
        _prepare(self.supervisors, 0o700)
        _prepare(self.logs, 0o750 if self.shared else 0o700)
        if len(os.fsencode(self.control)) > _SOCKET_PATH_MOST:
            raise UnsafeFolder(
                self.runtime, f"its path leaves no room for a socket's ({_SOCKET_PATH_MOST} bytes)", "use a shorter one"
            )


def _prepare(folder: Path, mode: int) -> None:
    if has_no_home(folder):
        raise UnsafeFolder(folder, "this user has no home folder", "set XDG_STATE_HOME to a folder")
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolder(folder, "it is a link, or a file", "remove it")
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(
            folder, f"it belongs to user {found.st_uid}, not {os.geteuid()}", "choose a folder of your own"
        )
    if stat.S_IMODE(found.st_mode) != mode:
        folder.chmod(mode)


def user_places(environ: Mapping[str, str] = os.environ) -> Places:
    """Those of the calling user's daemon."""
    base = environ.get("XDG_STATE_HOME")
    state = (Path(base) if base and os.path.isabs(base) else expanded("~/.local/state")) / "horus"
    return Places(runtime_folder(), state, state / "logs")


def system_places(environ: Mapping[str, str] = os.environ) -> Places:
    """Those of the system's daemon."""

    def folder(variable: str, default: str) -> Path:
        return Path(environ.get(variable, "").split(":")[0] or default)

    return Places(
        folder("RUNTIME_DIRECTORY", "/run/horus"),
        folder("STATE_DIRECTORY", "/var/lib/horus"),
        folder("LOGS_DIRECTORY", "/var/log/horus"),
        shared=True,
    )


def answers(path: Path) -> bool:
    """Whether a process listens on the Unix socket at `path`.

    Raises:
        PermissionError: that is not for us to know.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except PermissionError:
            raise
        except BlockingIOError:  # somebody listens, and has more callers than can wait
            return True
        except OSError:
            return False
    return True


def find_places(system: bool | None = None) -> Places:
    """Those of the daemon that a client is to talk to.

    Args:
        system: the system's daemon, or the user's. None: what ``$HORUS_DAEMON`` says (``user`` or ``system``), else the user's
            if it runs, else the system's if that runs and may be used, else the user's.
    """
    if system is None:
        chosen = os.environ.get("HORUS_DAEMON")
        if chosen in ("user", "system"):
            system = chosen == "system"
    if system is not None:
        return system_places() if system else user_places()
    own, other = user_places(), system_places()
    if not answers(own.control):
        try:
            if answers(other.control):
                return other
        except PermissionError:
            pass
    return own
