"""The benchmarks by name, in the order in which ``all`` runs them."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.options import Options
from benchmarks.report import Row

NAMES = {
    "wakeup": "a small dict there and back between two processes that sleep in between",
    "polling": "the same between two processes that poll",
    "lockstep": "ticks per second of the reference graph",
    "startup": "from the command to the first tick; horus --help",
    "recorder": "small messages and 6 MB frames into a recording",
    "overhead": "what recording adds to a tick",
    "payload": "16 B to 64 MB there, an acknowledgement back",
    "nodes": "ticks per second with 2 to 64 nodes",
    "rates": "messages per second, up to saturation",
    "pacing": "how late ticks begin at 100 Hz and 1 kHz",
    "tools": "export, diff, list and replay of a million messages",
    "durability": "messages lost beside a node that burns a core, and by kills",
    "memory": "peak memory against the length of the recording",
}


def benchmark(name: str) -> Callable[[Options], list[Row]]:
    """The function that runs the benchmark called `name`."""
    run: Callable[[Options], list[Row]] = importlib.import_module(f"benchmarks.{name}").run
    return run
