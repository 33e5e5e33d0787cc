"""Messages per second from one node to another, one to 10,000 per tick, as fast as they go; and paced, without a loss.

The paced rows offer a rate at 100 ticks/s in real time, recorded, and say what was missed or lost.
"""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import measure, peer, runner
from benchmarks.report import Row, rows_of
from benchmarks.rounds import alternate

PER_TICK = (1, 10, 100, 1000, 10_000)
OFFERED = (10_000, 100_000, 200_000, 300_000)  # messages/s


def run(options: Options) -> list[Row]:
    """Measures both."""
    seconds, rounds = options.pick(1.0, 0.4), options.pick(3, 1)
    core = options.cores[0]
    rows = []
    for count in PER_TICK:
        asked = ["--per-tick", count, "--seconds", seconds]
        series = alternate(
            {
                "HORUS, recorded": partial(measure, runner("throughput", "--recorded", *asked)),
                "HORUS, not recorded": partial(measure, runner("throughput", *asked)),
                "pyzmq ipc, one core": partial(
                    measure, peer("zmq_throughput", "--cores", f"{core},{core}", "--seconds", seconds)
                ),
            },
            rounds,
        )
        notes = {"pyzmq ipc, one core": "PUSH and PULL, no ticks"}
        rows += rows_of("rates", f"{count:,} per tick", "messages/s", series, "higher", "HORUS, recorded", notes=notes)
    for rate in OFFERED:
        asked = ["--per-tick", rate // 100, "--seconds", seconds, "--paced", "--recorded"]
        series = alternate({"HORUS, recorded": partial(measure, runner("throughput", *asked))}, rounds)
        facts = series["HORUS, recorded"].facts
        notes = {
            "HORUS, recorded": f"last round: {facts['missed']} deadlines missed, {facts['dropped']} messages dropped, "
            f"{facts['lost']} not in the recording"
        }
        rows += rows_of("rates", f"{rate:,}/s offered", "messages/s", series, "higher", notes=notes)
    return rows
