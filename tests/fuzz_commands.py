"""Gives damaged sessions to the commands of ``horus record``: ``python -m tests.fuzz_commands --seconds 60``.

Whatever has happened to a session, every command ends soon, with its answer or in one line; what is missing is counted, and
"complete" is said only of what is. A counterexample is kept in the current folder and its name printed; exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from tests.damage import ACCIDENTS, LIES

SLOWEST_SECONDS = 10.0  # of the processor
PATIENCE_SECONDS = 120.0  # for what does nothing
MOST_MEMORY_MB = 1500
MOST_ADDRESSES = 6 << 30  # so that what takes too much fails, and not the machine
SCRIPT = """
from horus import Node, Recording, Scheduler
import horus, sys

def source(node):
    tick = horus.tick()
    node.send("scan", {"v": tick * 0.5})
    if tick % 7 == 0:
        node.send("rare", "x" * (tick % 50))

def relay(node):
    for value in node.recv_all("scan"):
        node.send("out", value)

s = Scheduler(tick_rate=100, deterministic=True, pace=PACE, execution="inline", recording=RECORDING)
s.add(Node(name="source", tick=source, rate=100, pubs=["scan", "rare"]))
s.add(Node(name="relay", tick=relay, rate=50, subs=["scan"], pubs=["out"]))
s.run(duration=1.2)
"""


class Slow(BaseException):
    """A command did not end."""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise Slow


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    timers = {
        signal.ITIMER_PROF: (signal.SIGPROF, SLOWEST_SECONDS),
        signal.ITIMER_REAL: (signal.SIGALRM, PATIENCE_SECONDS),
    }
    before = {number: signal.signal(number, _alarm) for number, _ in timers.values()}
    for timer, (_, seconds) in timers.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, (number, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Runs a command in this process: its exit code and what it printed."""
    from horus_cli.main import run as run_command

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _in_time():
        code = run_command([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()


def originals(base: Path) -> dict[str, Path]:
    """Sessions of several shapes, recorded in this process."""
    import horus

    shapes: dict[str, Any] = {
        "plain": horus.Recording(name="plain"),
        "parts": horus.Recording(name="parts", split_seconds=0.2),
        "ring": horus.Recording(name="ring", keep_seconds=0.5),
        "packed": horus.Recording(name="packed", compression="zstd"),
        "other": horus.Recording(name="other"),
    }
    script = base / "script.py"
    script.write_text(SCRIPT.replace("RECORDING", "'script'").replace("PACE", "False"))
    for recording in shapes.values():
        names = {"RECORDING": recording, "PACE": recording.parted, "__name__": "__main__"}
        exec(compile(SCRIPT, "script.py", "exec"), names)
    run("record", "trim", "plain", "trimmed", "--start-tick", "40", "--stop-tick", "99")
    return {name: base / name for name in (*shapes, "trimmed")}


class Truth:
    """What a whole session holds: how many messages of each node."""

    def __init__(self, folder: Path) -> None:
        from horus_core.recording.reading.reader import Session

        session = Session(folder)
        self.messages = {
            node: sum(batch.num_rows for file in session.node_files(node) for batch in file.batches())
            for node in session.senders
        }
        self.total = sum(self.messages.values())


class Trial:
    """One damaged session, and what the commands say of it."""

    def __init__(self, base: Path, shape: str, truth: Truth, accidents: list[str]) -> None:
        self.base, self.shape, self.truth, self.accidents = base, shape, truth, accidents
        self.honest = not any(name in LIES for name in accidents)

    def problem(self) -> str | None:
        """What is wrong with what the commands did, None if nothing."""
        for step in (self._look, self._use, self._repair, self._remove):
            found = step()
            if found is not None:
                return found
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_MEMORY_MB * 1024:
            return "it took too much memory"
        return None

    def _look(self) -> str | None:
        code, out, err = run("record", "list")
        if code or not any(line.startswith("other ") for line in out.splitlines()):
            return f"list does not show the other session: {code} {out} {err}"
        code, _, err = run("record", "list", "--long", "--json")
        if code:
            return f"list --long ends with {code}: {err}"
        return self._info("info") or self._refusals(["record", "info", "s"])

    def _info(self, when: str) -> str | None:
        """Whether what `info` counts is true."""
        code, out, err = run("record", "info", "s", "--json")
        if code:
            return _not_one_line(when, code, err)
        said = msgspec.json.decode(out)
        if not self.honest:
            return None
        there, total = said["messages"], self.truth.total
        if said["counted"] and there + said["lost"] != total:
            return f"{when} counts {there} messages and {said['lost']} lost of {total}"
        if there + said["lost"] > total:
            return f"{when} says that {there} are there and {said['lost']} lost, of {total}"
        if there != total and said["state"] == "complete":
            return f"{when} says complete of {there} of {total} messages"
        _, out, _ = run("record", "list", "--json")
        listed = [each for each in msgspec.json.decode(out)["sessions"] if each["name"] == "s"]
        seen = set(self.accidents) & {"cut", "remove", "empty", "exchange", "no_file"}
        if seen and there != total and [each for each in listed if each["state"] == "complete"]:
            return f"list says complete of {there} of {total} messages ({when})"
        return None

    def _refusals(self, *commands: list[str]) -> str | None:
        for command in commands:
            code, _, err = run(*command)
            if code not in (0, 1) and (found := _not_one_line(command[1], code, err)):
                return found
        return None

    def _use(self) -> str | None:
        output = self.base / "out"
        script = str(self.base / "script.py")
        found = self._refusals(
            ["record", "diff", "s", "other"],
            ["record", "diff", "s", "s", "--json"],
            ["record", "export", "s", "-o", f"{output}.jsonl"],
            ["record", "export", "s", "-o", f"{output}.csv", "--wide"],
            ["record", "trim", "s", "t", "--start-tick", "45", "--stop-tick", "99"],
            ["record", "merge", "s", "other", "m"],
            ["record", "replay", "s", "--speed", "0"],
            ["record", "inject", "s", "--script", script, "--nodes", "source", "--speed", "0"],
            ["blackbox", "show", "s"],
            ["blackbox", "show", "s", "--json"],
            ["record", "clean", "--max-age-days", "0", "--dry-run"],
        )
        for name in ("t", "m"):
            shutil.rmtree(self.base / name, ignore_errors=True)
        return found

    def _repair(self) -> str | None:
        code, out, err = run("record", "repair", "s")
        if code:
            return _not_one_line("repair", code, err)
        if self.honest and " is whole again" in out and "no message missing\n" in out.replace(";", "\n"):
            return None
        return self._info("info after the repair")

    def _remove(self) -> str | None:
        code, _, err = run("record", "rename", "s", "renamed")
        name = "s" if code else "renamed"
        if code and (found := _not_one_line("rename", code, err)):
            return found
        code, _, err = run("record", "delete", name, "--yes")
        return f"delete ends with {code}: {err}" if code or (self.base / name).exists() else None


def _not_one_line(what: str, code: int, err: str) -> str | None:
    lines = [line for line in err.splitlines() if line.strip()]
    good = code == 2 and lines and all(line.startswith("horus: ") for line in lines) and "Traceback" not in err
    return None if good and all(len(line) < 2000 for line in lines) else f"{what} ends with {code}: {err[-500:]}"


def _make(base: Path, shapes: dict[str, Path], truths: dict[str, Truth], seed: int) -> Trial:
    chance = random.Random(seed)
    shape = chance.choice([name for name in shapes if name != "other"])
    folder = base / "s"
    shutil.copytree(shapes[shape], folder)
    chosen = ACCIDENTS if chance.random() < 0.7 else LIES
    names = [chance.choice(sorted(chosen)) for _ in range(1 if chosen is LIES else chance.randint(1, 2))]
    for name in names:
        with contextlib.suppress(IndexError, ValueError, OSError, KeyError):  # nothing is left to be damaged
            chosen[name](folder, shapes["other"], chance)
    return Trial(base, shape, truths[shape], names)


def fuzz(seconds: float, seed: int, most: int | None = None) -> str | None:
    """Tries for `seconds`, at most `most` sessions; returns what went wrong, None if nothing did."""
    with tempfile.TemporaryDirectory(prefix="horus-fuzz-") as name:
        base = Path(name)
        os.environ.update(HORUS_RECORDINGS=name, XDG_DATA_HOME=name, HORUS_EXECUTION="inline", COLUMNS="200")
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, resource.getrlimit(resource.RLIMIT_AS)[1]))
        shapes = originals(base)
        truths = {shape: Truth(folder) for shape, folder in shapes.items()}
        until, tried = time.monotonic() + seconds, 0
        while time.monotonic() < until and tried != most:
            each = seed + tried
            trial = _make(base, shapes, truths, each)
            kept = base / "kept"
            shutil.copytree(base / "s", kept, symlinks=True)
            try:
                problem = trial.problem()
            except (Exception, Slow):
                problem = traceback.format_exc()
            if problem is not None:
                shutil.rmtree(f"fuzz-{each}", ignore_errors=True)
                shutil.copytree(kept, f"fuzz-{each}", symlinks=True)
                return f"{problem} ({trial.shape}: {', '.join(trial.accidents)}; kept as fuzz-{each}, --seed {each})"
            for folder in (kept, base / "s", base / "renamed"):
                shutil.rmtree(folder, ignore_errors=True)
            tried += 1
    print(f"{tried} damaged sessions, nothing found (seed {seed})")
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=None, help="at most so many")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcome = fuzz(given.seconds, given.seed, given.sessions)
    if outcome is not None:
        sys.exit(outcome)
