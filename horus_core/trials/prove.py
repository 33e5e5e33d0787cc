"""Proves on this machine what recordings promise: kills processes of a busy recorded graph and looks at what is left.

Each round records a graph in a process of its own, kills one of its processes (a node, the recorder, the supervisor) or all of
them at once, at a random moment, and opens the session. Every message says which one it is and carries a checksum of its own,
so a missing, repeated or torn one is counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from horus_core.engine import clock
from horus_core.errors import HorusError
from horus_core.inspection.running_graphs import running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import H_RELEASED
from horus_core.memory.shared import sweep

BOUND_SECONDS = 1.0  # what may be lost when every process is killed at once
RATE = 200.0
_MESSAGES = 5  # of each publisher in each tick
_PR_SET_CHILD_SUBREAPER = 36
_VICTIMS = ("node", "recorder", "supervisor", "everything")
_TIMEOUT = 30.0


class Round(msgspec.Struct, frozen=True):
    """What one kill left. `lost_ticks` counts from the first missing tick to the last that was released."""

    victim: str
    released: int
    recorded: int
    lost_ticks: int
    missing: int
    repeated: int
    torn: int
    damaged: int
    state: str
    problem: str = ""

    @property
    def bound_ticks(self) -> int:
        """How many ticks this kill may cost: none while a recorder is left to take the lanes."""
        return round(BOUND_SECONDS * RATE) if self.victim == "everything" else 0

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        whole = self.missing == self.repeated == self.torn == 0 and not self.problem
        return whole and self.lost_ticks <= self.bound_ticks


class Proof(msgspec.Struct, frozen=True):
    """The outcome of :func:`prove`."""

    rounds: list[Round]
    seed: int

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return all(each.kept for each in self.rounds)

    @property
    def worst_ticks(self) -> int:
        """The most ticks that a kill cost."""
        return max((each.lost_ticks for each in self.rounds), default=0)

    @property
    def worst_ms(self) -> float:
        """The same in milliseconds."""
        return self.worst_ticks / RATE * 1e3


def prove(kills: int = 20, seed: int | None = None, progress: Callable[[Round], None] | None = None) -> Proof:
    """Kills `kills` times and reports what came back.

    Args:
        kills: rounds; every kind of victim takes its turn.
        seed: of the random moments; None for a new one.
        progress: called after each round.
    """
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    chance = random.Random(seed)
    rounds = []
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that we can wait for the children of what we killed
    try:
        for number in range(kills):
            with tempfile.TemporaryDirectory(prefix="horus-prove-") as folder:
                rounds.append(_round(Path(folder), _VICTIMS[number % len(_VICTIMS)], chance))
            if progress is not None:
                progress(rounds[-1])
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    return Proof(rounds, seed)


# The graph that is killed.


def _payload(tick: int, number: int) -> dict[str, Any]:
    body = bytes((tick + number + each) & 0xFF for each in range(16 + (tick * 7 + number * 31) % 400))
    return {"tick": tick, "number": number, "body": body, "crc": zlib.crc32(body)}


def _send(node: Any) -> None:
    for number in range(_MESSAGES):
        node.send(f"{node.name}.out", _payload(clock.tick(), number))


def _pass_on(node: Any) -> None:
    for message in node.recv_all("source.out"):
        node.send("relay.out", message)


def record_graph(name: str) -> None:
    """Runs and records the graph until it is killed; the entry point of each round's process."""
    from horus_core.graph.node import Node
    from horus_core.scheduler.scheduler import Scheduler

    scheduler = Scheduler(tick_rate=RATE, deterministic=True, recording=name, name=name)
    scheduler.add(Node("source", _send, rate=RATE, pubs="source.out"))
    scheduler.add(Node("relay", _pass_on, rate=RATE, subs="source.out", pubs="relay.out"))
    scheduler.run(duration=_TIMEOUT * 2)


# One round.


def _round(folder: Path, victim: str, chance: random.Random) -> Round:
    name = f"prove-{os.getpid()}-{chance.randrange(1 << 30)}"
    environment = {**os.environ, "HORUS_RECORDINGS": str(folder)}
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.append({root!r}); from horus_core.trials.prove import record_graph; record_graph({name!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        family: list[psutil.Process] = []
        attached = _attach(name, process, after=chance.randrange(20, 300))
        family = psutil.Process(process.pid).children(recursive=True)
        released = _kill(victim, process, family, attached, chance)
        _wait(lambda: not any(_runs(each) for each in family), process if victim == "node" else None)
        return _judge(folder / name, victim, released)
    except (HorusError, TimeoutError, subprocess.TimeoutExpired, psutil.Error) as problem:
        return Round(victim, -1, -1, 0, 0, 0, 0, 0, "?", f"{type(problem).__name__}: {problem}")
    finally:
        for each in (*family, process):
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                each.kill()
        process.wait(_TIMEOUT)
        for each in family:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each.pid, 0)
        sweep()


def _attach(name: str, process: subprocess.Popen[bytes], after: int) -> Attachment:
    """The running graph, once it has released tick `after`."""
    deadline = time.monotonic() + _TIMEOUT
    attached: Attachment | None = None
    while time.monotonic() < deadline and process.poll() is None:
        if attached is None:
            attached = next((Attachment(graph) for graph in running_graphs() if graph.name == name), None)
        elif attached.control[H_RELEASED] >= after:
            return attached
        time.sleep(0.002)
    raise TimeoutError(f"the graph did not reach tick {after} within {_TIMEOUT:g} s")


def _kill(
    victim: str,
    process: subprocess.Popen[bytes],
    family: list[psutil.Process],
    attached: Attachment,
    chance: random.Random,
) -> int:
    """Kills, and returns the tick that was released then (for a recorder, some ticks later, when the graph is ended)."""
    recorder = [each for each in family if any("recorder" in word for word in each.cmdline())]
    nodes = [each for each in family if each not in recorder]
    if victim == "node":
        chance.choice(nodes).send_signal(signal.SIGKILL)
        process.wait(_TIMEOUT)  # its failure policy is fatal: the graph ends in order
        return int(attached.control[H_RELEASED])
    if victim == "recorder":
        recorder[0].send_signal(signal.SIGKILL)
        goal = attached.control[H_RELEASED] + chance.randrange(20, 150)
        _wait(lambda: attached.control[H_RELEASED] >= goal, None)
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell starts in the background
        process.wait(_TIMEOUT)
        return int(attached.control[H_RELEASED])
    if victim == "everything":
        for each in (*recorder, *nodes):
            each.suspend()  # so that all end at the same tick
        process.send_signal(signal.SIGSTOP)
        released = int(attached.control[H_RELEASED])
        for each in (*recorder, *nodes):
            each.kill()
    else:
        process.send_signal(signal.SIGSTOP)
        released = int(attached.control[H_RELEASED])
    process.kill()
    process.wait(_TIMEOUT)
    return released


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _wait(done: Callable[[], bool], process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of the graph still run after {_TIMEOUT:g} s")
        time.sleep(0.005)
    if process is not None:
        process.wait(_TIMEOUT)


def _judge(folder: Path, victim: str, released: int) -> Round:
    """What the session holds, against what was sent."""
    from horus_core.messages.encoding import Decoder
    from horus_core.recording.reading.reader import Session

    session = Session(folder)
    decode = Decoder("prove").decode
    missing = repeated = torn = damaged = 0
    recorded = released
    for node in ("source", "relay"):
        damage: list[Any] = []
        found: dict[int, list[int]] = {}
        for batch in session.batches(_stem(node), damage):
            columns = [batch.column(each).to_pylist() for each in ("tick", "sequence", "encoding", "payload")]
            for tick, sequence, encoding, payload in zip(*columns, strict=True):
                found.setdefault(tick, []).append(sequence)
                value = decode(encoding, memoryview(payload))
                torn += zlib.crc32(value["body"]) != value["crc"] or value["tick"] != tick
        sequences = [each for tick in sorted(found) for each in found[tick]]
        repeated += len(sequences) - len(set(sequences))
        missing += (max(sequences) + 1 - len(set(sequences))) if sequences else 0
        whole = [tick for tick in found if len(found[tick]) == _MESSAGES]
        recorded = min(recorded, max(whole, default=-1))
        damaged += sum("checksum" in each.what for each in damage)
    # A tick in flight when its node was killed is not lost: it had not ended.
    in_flight = 1 if victim in ("node", "supervisor", "everything") else 0
    lost = max(0, released - in_flight - recorded)
    return Round(victim, released, recorded, lost, missing, repeated, torn, damaged, session.state)


def _stem(node: str) -> str:
    from horus_core.recording.format.names import file_stem

    return file_stem(node)
