"""A small dict there and back between two processes that sleep in between, on one core and on two.

``HORUS``         two nodes that answer each other: the round trip is a whole tick of the graph, with all that a tick keeps
``C semaphores``  no message at all: two processes that post each other's semaphore
"""

from __future__ import annotations

from functools import partial

from benchmarks import native
from benchmarks.options import Options
from benchmarks.program import measure, peer, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

CLOSE, HALF = Goal(1.3), Goal(0.5)
HORUS, FLOOR = "HORUS", "C semaphores"


def run(options: Options) -> list[Row]:
    """Measures both placements."""
    samples, rounds = options.pick(5000, 1000), options.pick(7, 2)
    rows = []
    for words, (first, second) in options.placements:
        asked = ["--cores", f"{first},{second}", "--samples", samples]
        series = alternate(
            {
                HORUS: partial(measure, runner("pingpong", *asked)),
                FLOOR: partial(native.run, "semaphores", 2, f"{first},{second}", 1000, samples),
                "pyzmq ipc": partial(measure, peer("zmq_pingpong", *asked)),
                "eclipse-zenoh": partial(measure, peer("zenoh_pingpong", *asked)),
                "dora-rs": partial(measure, peer("dora_pingpong", *asked)),
            },
            rounds,
        )
        goals = {FLOOR: CLOSE, "pyzmq ipc": HALF, "eclipse-zenoh": HALF, "dora-rs": HALF}
        rows += rows_of("wakeup", words, "µs", series, ours=HORUS, scale=1e-3, goals=goals)
    return rows
