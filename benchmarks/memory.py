"""The most memory that recorder, replay, info, export and diff hold, against the length: up to an hour of 10,000 messages/s.

Memory of the process's own: the map of a file and shared memory do not count. The ratio is that of the longest to each.
What is held at once is bounded, so a short recording takes less, and from some length on it must stay the same. The
recordings are made and read as fast as it goes; they need 10 GB of disk meanwhile.
"""

from __future__ import annotations

import tempfile
from functools import partial

from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

TOOLS = ("record", "replay", "info", "export", "diff")
CONSTANT, BOUND = Goal(1.15), Goal(400.0, ratio=False)
_SECONDS = 900.0  # that one may take


def run(options: Options) -> list[Row]:
    """Records each length and runs each tool on it."""
    lengths = options.pick((100_000, 1_000_000, 3_000_000, 36_000_000), (50_000, 200_000))
    rows = []
    with tempfile.TemporaryDirectory(prefix="horus-bench-") as folder:
        for length in lengths:
            for session in (f"{length}", f"{length}-other"):
                measure(
                    runner("tool", "record", "--folder", folder, "--session", session, "--messages", length), _SECONDS
                )
        for tool in TOOLS:
            participants = {f"{length:,} messages": partial(_peak, tool, folder, length) for length in lengths}
            series = alternate(participants, 1)
            names = list(participants)
            goals = {names[-1]: BOUND} if options.quick else {names[-1]: BOUND, names[-2]: CONSTANT}
            rows += rows_of("memory", tool, "MB", series, ours=names[-1], own=True, goals=goals)
    return rows


def _peak(tool: str, folder: str, length: int) -> Measured:
    session = "again" if tool == "record" else f"{length}"
    command = runner(
        "tool", tool, "--folder", folder, "--session", session, "--other", f"{length}-other", "--messages", length
    )
    measured = measure(command, _SECONDS)
    peak: float = measured.facts["peak_mb"]  # type: ignore[assignment]
    return Measured([peak])
