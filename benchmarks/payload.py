"""An array there, an acknowledgement back: 16 B to 64 MB, with HORUS's own placement of a chain (one core).

``HORUS`` gets a copy of its own, ``HORUS, a view`` reads the array where it lies in shared memory. pyzmq and dora-rs are
asked for their way without copies.
"""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import measure, peer, runner
from benchmarks.report import Row, rows_of
from benchmarks.rounds import alternate

SIZES = {
    16: "16 B",
    256: "256 B",
    4096: "4 KiB",
    65536: "64 KiB",
    1 << 20: "1 MiB",
    1920 * 1080 * 3: "6 MB (1080p)",
    64 << 20: "64 MiB",
}


def run(options: Options) -> list[Row]:
    """Measures each size."""
    rounds = options.pick(5, 1)
    rows = []
    core = options.cores[0]
    for size, words in SIZES.items():
        samples = max(20, min(options.pick(2000, 300), (options.pick(2, 1) << 30) // max(size, 1 << 20)))
        asked = [
            "--cores",
            f"{core},{core}",
            "--payload",
            size,
            "--samples",
            samples,
            "--warmup",
            max(10, samples // 5),
        ]
        series = alternate(
            {
                "HORUS": partial(measure, runner("pingpong", *asked)),
                "HORUS, a view": partial(measure, runner("pingpong", "--view", *asked)),
                "pyzmq ipc": partial(measure, peer("zmq_pingpong", *asked)),
                "eclipse-zenoh": partial(measure, peer("zenoh_pingpong", *asked)),
                "dora-rs": partial(measure, peer("dora_pingpong", *asked)),
            },
            rounds,
        )
        rows += rows_of("payload", words, "µs", series, scale=1e-3)
    return rows
