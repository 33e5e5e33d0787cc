"""One participant's go: a program of its own, which prints what it measured.

The last line that it prints is a JSON object with ``samples``, a list of numbers; all else in it are facts. Exit code 3
and a line on stderr mean that something it needs is not installed. Whatever it leaves behind is removed: its processes by
their group, and the files of the peers' that have a name of their own in /dev/shm.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
MISSING = 3  # the exit code for it
_PEERS_FILES = re.compile(r"iox2_.*|.*\.zenoh|horus_.*|dora.*")
_SHM = Path("/dev/shm")


class NotInstalled(Exception):
    """A peer is not there; its words say what to install."""


class ProgramFailed(Exception):
    """A program did not do its work: a mistake in it, or in what it runs. Args: the command, what it printed."""

    def __str__(self) -> str:
        command, output = self.args
        return f"{' '.join(command)} failed:\n{output}"

    @property
    def reason(self) -> str:
        """Its last words, on one line."""
        words: list[str] = self.args[1].split()
        return " ".join(words[-12:])


@dataclass(frozen=True)
class Measured:
    """What a program measured."""

    samples: list[float]
    facts: dict[str, object] = field(default_factory=dict)


def runner(name: str, *arguments: object) -> list[str]:
    """The command for one of runners/."""
    return [sys.executable, "-m", f"benchmarks.runners.{name}", *map(str, arguments)]


def peer(name: str, *arguments: object, python: str = sys.executable) -> list[str]:
    """The command for one of peers/; without PYTHONPATH, on which our own ``horus`` may be."""
    return [python, "-E", str(HERE / "peers" / f"{name}.py"), *map(str, arguments)]


def measure(command: Sequence[str], seconds: float = 180.0, env: Mapping[str, str] | None = None) -> Measured:
    """Runs `command`, for at most `seconds`, with `env` added to its environment.

    Raises:
        NotInstalled: it needs something that is not there.
        ProgramFailed: it failed, or took too long.
    """
    with _left_as_it_was(), tempfile.TemporaryDirectory(prefix="horus-bench-") as folder:
        environment = {
            **os.environ,
            **(env or {}),
            "HORUS_RECORDINGS": folder,
            "XDG_RUNTIME_DIR": folder,
            "TMPDIR": folder,
        }
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        # Where the work is done; the JSON line goes to a file, so that a chatty peer cannot fill a pipe.
        with open(Path(folder, "stdout"), "w+b") as output, open(Path(folder, "stderr"), "w+b") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=folder,
                env=environment,
                process_group=0,
            )
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = -signal.SIGKILL
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0), errors.seek(0)
            printed, said = output.read().decode(errors="replace"), errors.read().decode(errors="replace")
    if code == MISSING:
        raise NotInstalled(said.strip().splitlines()[-1] if said.strip() else "not installed")
    lines = printed.strip().splitlines()
    if code != 0 or not lines or not lines[-1].startswith("{"):
        raise ProgramFailed(list(command), (said + printed)[-4000:] + f"\n(exit code {code})")
    facts = json.loads(lines[-1])
    return Measured(facts.pop("samples"), facts)


@contextlib.contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Removes what a peer left in /dev/shm or in its folder; HORUS looks after its own (``horus-...``)."""
    folder = Path("/tmp/iceoryx2")
    before, had = set(os.listdir(_SHM)), folder.exists()
    try:
        yield
    finally:
        for name in set(os.listdir(_SHM)) - before:
            if _PEERS_FILES.fullmatch(name):
                place = _SHM / name
                with contextlib.suppress(OSError):
                    shutil.rmtree(place) if place.is_dir() else place.unlink()
        if not had:
            shutil.rmtree(folder, ignore_errors=True)
