"""A child process as its supervisor has it: started, heard, ended; see ``process`` for the other side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from horus_core.processes.family import end_family
from horus_core.processes.process import write_all

_ROOT = str(Path(__file__).resolve().parents[2])


class Child:
    """A started process.

    Attributes:
        pid: its id.
        pidfd: becomes readable when it ends.
        output: what it prints, both streams; None if it shares ours.
        reports: its reports.
        hung_up: those of the two that nobody has open for writing any more; polling them would return at once, for ever.
    """

    def __init__(self, title: str, module: str, boot: bytes, capture: bool = True) -> None:
        self.title = title
        self.hung_up: set[int] = set()
        boot_fd = os.memfd_create("horus-boot", 0)
        write_all(boot_fd, boot)
        os.lseek(boot_fd, 0, os.SEEK_SET)
        self.reports, report_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reports, False)
        output_fd = None
        self.output: int | None = None
        if capture:
            self.output, output_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self.output, False)
        code = f"import sys; sys.path.append({_ROOT!r}); from {module} import main; main()"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, title, str(boot_fd), str(report_fd), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output_fd,
                stderr=output_fd,
                pass_fds=(boot_fd, report_fd),
                process_group=0,
                env={"PYTHONHASHSEED": "0", **os.environ},
            )
        finally:
            for descriptor in (boot_fd, report_fd, output_fd):
                if descriptor is not None:
                    os.close(descriptor)
        self.pid = self._process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self._pending = b""

    def descriptors(self) -> list[int]:
        """What becomes readable when it prints, reports or ends."""
        found = [self.reports, self.pidfd] if self.output is None else [self.output, self.reports, self.pidfd]
        return [each for each in found if each not in self.hung_up]

    def poll(self) -> int | None:
        """The exit code (negative: the signal), None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int | None:
        """Waits up to `timeout` seconds; returns as :meth:`poll`."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        """Sends a signal to its process group, if it still runs."""
        if self._process.poll() is not None:
            return
        if number == signal.SIGKILL:
            end_family(self.pid)
        else:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                self._process.send_signal(number)

    def end_family(self) -> None:
        """Kills what it has forked and left behind; it has ended itself, and has not been waited for."""
        end_family(self.pid)

    def read_reports(self) -> list[tuple[Any, ...]]:
        """The reports that have arrived, each a tuple that begins with its kind."""
        found: list[tuple[Any, ...]] = []
        self._pending += read_available(self.reports)
        while len(self._pending) >= 4:
            size = int.from_bytes(self._pending[:4], "little")
            if len(self._pending) < 4 + size:
                break
            found.append(tuple(msgspec.msgpack.decode(self._pending[4 : 4 + size])))
            self._pending = self._pending[4 + size :]
        return found

    def close(self) -> None:
        """Closes our ends; the process must have ended."""
        for descriptor in (self.pidfd, self.output, self.reports):
            if descriptor is not None:
                os.close(descriptor)


def read_available(descriptor: int) -> bytes:
    """All that a non-blocking descriptor holds now."""
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)


_STATES = {
    "R": "computes or waits for a core",
    "S": "sleeps",
    "D": "waits for a disk or a device",
    "T": "is stopped",
    "t": "is held by a debugger",
}


def process_state(pid: int) -> str:
    """What a process does, in a word or two that follow "it"; see proc_pid_stat(5)."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][:1]
    except OSError:
        letter = ""
    return _STATES.get(letter, "has ended")


def exit_reason(code: int | None) -> str:
    """``"was killed by SIGKILL"`` or ``"exited with code 3"``."""
    if code is None:
        return "still runs"
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"exited with code {code}"
