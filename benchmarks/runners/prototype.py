"""The bare prototype: the two processes of the reference graph, or a chain, POSIX semaphores, msgpack, mapped pages.

No framework: no order to keep, no rows, no counters, nothing can be late, nothing is recorded, nobody looks after anybody.
It is what a loop of processes in Python costs at the least, and so the yardstick of HORUS's lockstep.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import click
import msgspec
import posix_ipc

from benchmarks import reference
from benchmarks.runners import cores, report, shape
from benchmarks.runners.lockstep import CHUNK

_WORD = 8


class Slot:
    """A place in shared memory for one message."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, 4096))
        self._size = self._memory[:_WORD].cast("q")

    def put(self, packed: bytes) -> None:
        """Writes it."""
        self._memory[_WORD : _WORD + len(packed)] = packed
        self._size[0] = len(packed)

    def get(self) -> memoryview:
        """The bytes of it."""
        return self._memory[_WORD : _WORD + self._size[0]]


def _process(
    core: int, mine: posix_ipc.Semaphore, following: posix_ipc.Semaphore, ticks: int, work: Callable[[], None]
) -> int:
    child = os.fork()
    if child:
        return child
    os.sched_setaffinity(0, {core})
    signal.alarm(120)
    for _ in range(ticks):
        mine.acquire()
        work()
        following.release()
    os._exit(0)


def _reference() -> list[Callable[[], None]]:
    """The work of the reference graph's two nodes."""
    reading, command = Slot(), Slot()
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
    state: dict[str, Any] = {"tick": 0, "integral": 0.0}

    def sense() -> None:
        reference.sense(state, lambda value: reading.put(encode(value)))

    def control() -> None:
        reference.control(state, decode(reading.get()), 0.01, lambda value: command.put(encode(value)))

    return [sense, control]


def _chain(count: int) -> list[Callable[[], None]]:
    """The work of a chain that hands a message on, as in ``shape``."""
    slots = [Slot() for _ in range(count)]
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
    state = {"tick": 0}

    def begin() -> None:
        slots[0].put(encode({"x": 1.5, "tick": state["tick"]}))
        state["tick"] += 1

    def forward(before: Slot, after: Slot) -> Callable[[], None]:
        return lambda: after.put(encode(decode(before.get())))

    return [begin, *(forward(before, after) for before, after in pairwise(slots))]


@click.command()
@click.option("--ticks", default=20_000)
@click.option("--cores", "on", default="")
@click.option("--nodes", default=0, help="A chain of so many instead of the reference graph, with shorter samples.")
def main(ticks: int, on: str, nodes: int) -> None:
    """Prints ticks/s, one sample per thousand ticks (of a chain: per hundred), without the first two."""
    work, chunk = (_chain(nodes), shape.CHUNK) if nodes else (_reference(), CHUNK)
    first, second = (cores(on) * 2)[:2]
    turns = [posix_ipc.Semaphore(None, posix_ipc.O_CREX) for _ in range(len(work) + 1)]
    total = ticks + 2 * chunk + 1
    try:
        children = [
            _process(second if place else first, turns[place], turns[place + 1], total, each)
            for place, each in enumerate(work)
        ]
    finally:
        for turn in turns:
            turn.unlink()
    os.sched_setaffinity(0, {first})
    signal.alarm(120)
    stamps = []
    for tick in range(total):
        turns[0].release()
        turns[-1].acquire()
        if tick % chunk == 0:
            stamps.append(time.monotonic_ns())
    for child in children:
        os.waitpid(child, 0)
    stamps = stamps[2:]
    report([chunk / (b - a) * 1e9 for a, b in pairwise(stamps)])


if __name__ == "__main__":
    main()
