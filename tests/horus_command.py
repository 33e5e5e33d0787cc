"""Runs the ``horus`` command as a user does: in a process of its own, in the folders of the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "horus_cli")
PATIENCE = 20.0  # seconds for what must happen on a busy machine

# Two nodes in lockstep and virtual time: what they send is the same in every run.
SMALL = """
import horus
from horus import Node, Scheduler

def read(node):
    node.send("scan", {"distance": horus.tick() * 0.5})
    if horus.tick() % 10 == 0:
        print(f"at {horus.tick()}")

def decide(node):
    scan = node.recv("scan")
    if scan is not None:
        node.send("speed", scan["distance"] * 2)

sensor = Node(name="sensor", tick=read, rate=100, pubs=["scan"])
driver = Node(name="driver", tick=decide, rate=100, subs=["scan"], pubs=["speed"])
scheduler = Scheduler(tick_rate=100, deterministic=True)
scheduler.add(sensor).add(driver)
scheduler.run(duration=0.3)
"""

# Runs until it is told to end.
ENDLESS = SMALL.replace("duration=0.3", "")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self, kind: Any = Any) -> Any:
        """What it printed, as `kind`, in which every field is there and none is unknown."""
        value = msgspec.json.decode(self.out, type=kind)
        again = msgspec.json.decode(msgspec.json.encode(value))
        assert again == msgspec.json.decode(self.out), "there are fields that the schema has not"
        return value


def environment(**changes: str) -> dict[str, str]:
    """That of the test, in which the source tree is found and a pipe is 200 columns wide."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200", **changes}


def horus(
    *arguments: str | Path, code: int | None = 0, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Result:
    """Runs the command to its end; `code` is the exit code that it must have."""
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )
    result = Result(ended.returncode, ended.stdout, ended.stderr)
    assert code is None or result.code == code, result
    return result


def refused(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Runs a command that is misuse: exit code 2, and one line on stderr, which is returned without its ``horus: ``."""
    return _refusal(horus(*arguments, code=2, cwd=cwd))


def _refusal(result: Result) -> str:
    assert result.out == "", result
    assert result.err.startswith("horus: "), result
    assert result.err.count("\n") == 1, result
    return result.err.removeprefix("horus: ").rstrip("\n")


class Here:
    """Runs the command in this process, where there are many lines to try; the same calls as outside."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def horus(self, *arguments: str | Path, code: int | None = 0) -> Result:
        """As :func:`horus`."""
        from horus_cli.main import run

        self._capture.readouterr()
        ended = run([str(argument) for argument in arguments])
        said = self._capture.readouterr()
        result = Result(ended, said.out, said.err)
        assert code is None or result.code == code, result
        return result

    def refused(self, *arguments: str | Path) -> str:
        """As :func:`refused`."""
        return _refusal(self.horus(*arguments, code=2))


@contextlib.contextmanager
def started(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Starts the command; at the end of the block it gets Ctrl-C, and must end by it."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            if process.stdout is not None and process.stdout.closed:
                process.wait(PATIENCE)
            else:
                process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Polls until `condition` gives something true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.01)


def running(graphs: int = 1, env: Mapping[str, str] | None = None) -> Any:
    """Waits until so many graphs run; returns what their runtime files say, oldest first."""
    folder = Path((env or os.environ)["XDG_RUNTIME_DIR"])

    def found() -> list[Any]:
        texts = [path.read_bytes() for path in folder.glob("horus/graph-*.json")]
        return sorted((msgspec.json.decode(text) for text in texts), key=lambda graph: graph["started_ns"])

    return wait_for(lambda: each if len(each := found()) >= graphs else None, f"{graphs} running graph(s)")


def script(folder: Path, text: str, name: str = "main.py") -> Path:
    """Writes a script."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def lines_of(text: str, columns: Sequence[str] = ()) -> list[list[str]]:
    """The lines of a table in plain text, split at two spaces or more; its heading must hold `columns`."""
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    assert all(name in rows[0] for name in columns), rows[0]
    return rows
