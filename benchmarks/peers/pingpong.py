"""What all ping-pongs of peers share: two processes, a token that goes there and back, and a JSON line at the end.

A ping is a small dict (packed with msgspec where the peer carries bytes), or with ``--payload N`` that many bytes in an
array; the answer is a small dict. The time is that of the whole round: pack, send, wake the other, unpack there, and back.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

SMALL = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}
BOUND = 30.0  # seconds that one message may take before the run counts as failed


def arguments() -> argparse.Namespace:
    """The command line that all ping-pongs take."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", required=True, help="of the two processes: A,B")
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--payload", type=int, default=0, help="bytes to send there; 0 for a small dict")
    found = parser.parse_args()
    found.cores = tuple(int(core) for core in found.cores.split(","))
    return found


def not_installed(what: str, problem: ImportError) -> None:
    """Ends the program: a package is not there."""
    print(f"{what} is not installed ({problem})", file=sys.stderr)
    sys.exit(3)


@contextlib.contextmanager
def second_process(core: int, work: Callable[[], object]) -> Iterator[int]:
    """Runs `work` in a process of its own on `core`, and ends it; before anything is imported that has threads."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.sched_setaffinity(0, {core})
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    try:
        yield pid
    finally:
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline and not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.01)
        else:
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def time_rounds(turn: Callable[[int], object], warmup: int, samples: int) -> list[int]:
    """How long each ``turn(number)`` takes, in ns, without the first `warmup`."""
    clock = time.perf_counter_ns
    signal.alarm(int(BOUND) + samples // 50)
    for number in range(warmup):
        turn(number)
    taken = []
    for number in range(warmup, warmup + samples):
        start = clock()
        turn(number)
        taken.append(clock() - start)
    signal.alarm(0)
    return taken


def report(samples: list[int] | list[float], **facts: object) -> None:
    """Prints the line that the harness reads."""
    print(json.dumps({"samples": samples, **facts}), flush=True)
