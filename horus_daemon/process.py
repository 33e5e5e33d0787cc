"""The process that runs a graph: how it is started so that nothing of the daemon's can end it, and how it is found again.

Each graph has two files in the daemon's state folder:

    NAME.lock  locked (flock) by the daemon before it starts the process, which inherits the descriptor and with it the lock:
               from before the process exists until it has ended, nobody else can start this graph
    NAME.run   JSON, written by the process first of all: who it is; written again when it ends: how

The process is its own session, its input is empty and its output goes to a file: no terminal, pipe or parent whose end it could
feel. It is known by pid, start time and boot together, because pids come again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from horus_core.processes.child import exit_reason
from horus_core.processes.family import is_tracker
from horus_core.processes.own_files import open_own
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended

_ROOT = str(Path(__file__).resolve().parent.parent)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def module_command(python: str, module: str, *arguments: str) -> list[str]:
    """The command line for the ``main`` of one of our modules.

    The interpreter's own HORUS is used if it has one, else this one (a source tree); never what lies in the working directory.
    """
    code = f"import sys; sys.path.append({_ROOT!r}); from {module} import main; main()"
    return [python, "-P", "-c", code, *arguments]


def boot_id() -> str:
    """Which start of the machine this is."""
    return _BOOT.read_text().strip()


class Identity(msgspec.Struct, frozen=True):
    """A process, and no other one, ever.

    Attributes:
        started: when it started, in clock ticks since the machine did (field 22 of /proc/PID/stat).
        boot: which start of the machine that was.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """That of the process with this id, None if there is none that still runs."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b") ", 1)[1].split()
        except (OSError, IndexError):
            return None
        if fields[0] in (b"Z", b"X"):
            return None
        return cls(pid, int(fields[19]), boot_id())

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return Identity.of(self.pid) == self


class Run(msgspec.Struct, frozen=True):
    """What NAME.run holds."""

    identity: Identity
    horus: str
    ended: Ended | None = None


@dataclass(frozen=True)
class GraphFiles:
    """The files of a graph's process.

    Args:
        folder: where they are.
        name: the graph's.
        log: its log.
        log_mode: the mode of that.
    """

    folder: Path
    name: str
    log: Path
    log_mode: int

    @property
    def lock(self) -> Path:
        """Locked while the process lives."""
        return self.folder / f"{self.name}.lock"

    @property
    def run(self) -> Path:
        """Who the process is, and how it ended."""
        return self.folder / f"{self.name}.run"

    def read_run(self) -> Run | None:
        """What NAME.run holds, None if there is nothing to read."""
        try:
            return msgspec.json.decode(self.run.read_bytes(), type=Run)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None

    def take_lock(self) -> int | None:
        """The locked descriptor, None if somebody has it."""
        descriptor = open_own(self.lock, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def remove(self) -> None:
        """Removes both; the process must have ended."""
        for path in (self.run, self.lock):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


class Boot(msgspec.Struct, frozen=True):
    """What the process is told, as JSON on its standard input.

    Attributes:
        lock: the inherited descriptor of NAME.lock.
        starts: how often the graph was started before.
    """

    spec: GraphSpec
    run: str
    log: str
    log_mode: int
    lock: int
    starts: int


class GraphProcess:
    """A graph's process that runs, or has just ended.

    Attributes:
        pid: its id.
        pidfd: becomes readable when it ends.
        ours: whether this daemon started it; else it was adopted.
    """

    def __init__(self, files: GraphFiles, pid: int, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.pid, self.pidfd, self._files, self._child = pid, pidfd, files, child
        self.ours = child is not None

    @classmethod
    def start(cls, files: GraphFiles, spec: GraphSpec, starts: int, environ: Mapping[str, str]) -> GraphProcess | None:
        """Starts the process of a graph.

        Args:
            files: the graph's.
            spec: what to run.
            starts: how often the graph was started before.
            environ: its environment.

        Returns:
            None if its process runs already: adopt that.

        Raises:
            OSError: the interpreter or the folder is not there, or the like.
        """
        lock = files.take_lock()
        if lock is None:
            return None
        boot_fd, log_fd = -1, -1
        try:
            with contextlib.suppress(FileNotFoundError):
                files.run.unlink()
            boot = Boot(spec, str(files.run), str(files.log), files.log_mode, lock, starts)
            boot_fd = os.memfd_create("horus-graph", os.MFD_CLOEXEC)
            os.pwrite(boot_fd, msgspec.json.encode(boot), 0)
            log_fd = os.open(
                files.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.log_mode
            )
            child = subprocess.Popen(
                module_command(spec.python, "horus_daemon.graph", spec.name),
                cwd=spec.folder,
                env=environ,
                stdin=boot_fd,
                stdout=log_fd,
                stderr=log_fd,
                pass_fds=(lock,),
                start_new_session=True,
            )
        finally:
            for descriptor in (lock, boot_fd, log_fd):
                if descriptor >= 0:
                    os.close(descriptor)
        return cls(files, child.pid, os.pidfd_open(child.pid), child)

    @classmethod
    def adopt(cls, files: GraphFiles) -> GraphProcess | None:
        """The process of a graph that another daemon started, None if it does not run."""
        run = files.read_run()
        if run is None:
            return None
        try:
            pidfd = os.pidfd_open(run.identity.pid)
        except OSError:
            return None
        # Looked at after the descriptor is open: from then on the pid cannot become another process's.
        if run.identity.alive:
            return cls(files, run.identity.pid, pidfd, None)
        os.close(pidfd)
        return None

    def ended(self) -> Ended | None:
        """How it ended, None while it runs."""
        code = None
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return None
        elif not _readable(self.pidfd):
            return None
        run = self._files.read_run()
        if run is not None and run.ended is not None and run.identity.pid == self.pid:
            return run.ended
        if code is None:
            return Ended(time.time_ns(), None, "it was killed, or crashed, while the daemon that started it was away")
        return Ended(time.time_ns(), 128 - code if code < 0 else code, f"its process {exit_reason(code)}")

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Forgets the process, which goes on if it runs."""
        os.close(self.pidfd)
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # it is not to be waited for, and Popen is not to complain


def _readable(descriptor: int) -> bool:
    import select

    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def end_orphans(pid: int) -> list[int]:
    """Kills what the process of a graph, which was killed itself, has left in its session, but for a recorder: that ends
    when all is written. Nodes end with their supervisor; what they, or the script, have started does not.

    Returns:
        The ids of those that were killed.
    """
    # A session keeps its number as long as anybody is in it. If the number is a process's again, nobody was.
    if Identity.of(pid) is not None:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):  # it has just ended
            fields = (entry / "stat").read_bytes().rsplit(b") ", 1)[1].split()
            recorder = (entry / "cmdline").read_bytes().startswith(b"horus:recorder")
            if (
                int(fields[3]) == pid
                and fields[0] not in (b"Z", b"X")
                and not recorder
                and not is_tracker(int(entry.name))
            ):
                os.kill(int(entry.name), signal.SIGKILL)
                found.append(int(entry.name))
    return found


def is_held(files: GraphFiles) -> bool:
    """Whether somebody has a graph's lock."""
    lock = files.take_lock()
    if lock is None:
        return True
    os.close(lock)
    return False
