"""A small dict there and back between two processes that sleep in between, on one core and on two.

``HORUS, a tick``              two nodes that answer each other: the round trip is a whole tick of the graph, in which the
                               coordinator takes its turn as a third process, and all that a tick keeps is kept
``HORUS, lanes alone``         the same lanes, encoding and semaphores without the tick engine: two processes
``C semaphores``               no message at all: two processes that post each other's semaphore
``C semaphores, 3 in a ring``  the hand-offs that a tick has, the coordinator's included
"""

from __future__ import annotations

from functools import partial

from benchmarks import native
from benchmarks.options import Options
from benchmarks.program import measure, peer, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

CLOSE, HALF = Goal(1.3), Goal(0.5)
TICK, LANES, C2, C3 = "HORUS, a tick", "HORUS, lanes alone", "C semaphores", "C semaphores, 3 in a ring"


def run(options: Options) -> list[Row]:
    """Measures both placements."""
    samples, rounds = options.pick(5000, 1000), options.pick(7, 2)
    rows = []
    for words, (first, second) in options.placements:
        asked = ["--cores", f"{first},{second}", "--samples", samples]
        series = alternate(
            {
                TICK: partial(measure, runner("pingpong", *asked)),
                LANES: partial(measure, runner("transport", *asked)),
                C2: partial(native.run, "semaphores", 2, f"{first},{second}", 1000, samples),
                C3: partial(native.run, "semaphores", 3, f"{first},{first},{second}", 1000, samples),
                "pyzmq ipc": partial(measure, peer("zmq_pingpong", *asked)),
                "eclipse-zenoh": partial(measure, peer("zenoh_pingpong", *asked)),
                "dora-rs": partial(measure, peer("dora_pingpong", *asked)),
            },
            rounds,
        )
        goals = {C3: CLOSE, "pyzmq ipc": HALF, "eclipse-zenoh": HALF, "dora-rs": HALF}
        rows += rows_of("wakeup", words, "µs", series, ours=TICK, scale=1e-3, goals=goals)
        alone = {LANES: series[LANES], C2: series[C2]}
        rows += rows_of("wakeup", f"{words}, lanes alone", "µs", alone, ours=LANES, scale=1e-3, goals={C2: CLOSE})
    return rows
