"""Export, diff, list, info and full replay of a session of a million small messages in 10,000 ticks.

The second session of ``diff`` differs in every hundredth message. ``replay`` runs the graph's processes at speed 0; its time
holds their start.
"""

from __future__ import annotations

import tempfile
from functools import partial

from benchmarks.options import Options
from benchmarks.program import measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

LIMITS = {"export": 2.0, "diff": 3.0}  # seconds for a million messages
WORDS = {
    "export": "export to Parquet, decoded",
    "diff": "diff",
    "list": "list",
    "info": "info",
    "replay": "replay, speed 0",
}


def run(options: Options) -> list[Row]:
    """Records twice, then measures each tool."""
    messages, rounds = options.pick(1_000_000, 100_000), options.pick(5, 1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="horus-bench-") as folder:
        asked = ["--folder", folder, "--messages", messages]
        recorded = measure(runner("tool", "record", *asked), 120)
        measure(runner("tool", "record", "--session", "other", "--shift", 1.0, *asked), 120)
        rows.append(Row("tools", "record", "HORUS", "s", "lower", True, recorded.samples[0], samples=1, rounds=1))
        for name, words in WORDS.items():
            extra = ["--shift", 1.0] if name == "diff" else []
            series = alternate({"HORUS": partial(measure, runner("tool", name, *asked, *extra), 120.0)}, rounds)
            goals = {"HORUS": Goal(LIMITS[name], ratio=False)} if name in LIMITS and not options.quick else {}
            peak = series["HORUS"].facts["peak_mb"]
            notes = {"HORUS": f"{messages:,} messages; {peak:.0f} MB of memory"}
            rows += rows_of("tools", words, "s", series, goals=goals, notes=notes)
    return rows
