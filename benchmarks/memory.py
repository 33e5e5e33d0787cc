"""The most memory that recorder, info, export, replay and diff hold, against the length of the recording.

Up to 36 million messages: an hour at 10,000/s, made with speed 0. Memory of the process's own: the map of a file and shared
memory do not count. What is held at once is bounded, so a short recording takes less, and from some length on it must stay
the same: the ratio is that of the longest to each. None may take more than LIMIT_MB.

A length is recorded twice (``diff`` needs two), and deleted before the next one is made: the longest needs some 3 GB each, and
as much again for the export.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.options import Options
from benchmarks.program import ProgramFailed, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import Series

LENGTHS = (100_000, 1_000_000, 10_000_000, 36_000_000)
SHORT = (50_000, 200_000)  # of a quick run
TOOLS = ("record", "info", "export", "replay", "diff")  # in the order in which they have a go at a length
LIMIT_MB = 400
CONSTANT = Goal(1.15)
_BYTES = 250  # of disk per message: two sessions and an export, with some to spare
_SLOWEST = 5_000  # messages/s, below which a tool is taken to hang


def run(options: Options) -> list[Row]:
    """Makes each length, runs each tool on it, deletes it.

    Raises:
        ProgramFailed: a tool took longer than any machine should.
        OSError: the disk has no room for the longest.
    """
    lengths = options.pick(LENGTHS[:-1] if options.check else LENGTHS, SHORT)
    found: dict[str, dict[str, Series]] = {tool: {} for tool in TOOLS}
    with tempfile.TemporaryDirectory(prefix="horus-bench-") as folder:
        _need(Path(folder), max(lengths) * _BYTES)
        for length in lengths:
            for tool, peak, seconds in _measured(Path(folder), length):
                name = f"{length:,} messages"
                found[tool][name] = Series([[peak]], {"seconds": seconds})
                if sys.stderr.isatty():
                    sys.stderr.write(f"    {name}: {tool} {peak:.0f} MB, {seconds:.0f} s\n")
    rows = [row for tool, series in found.items() for row in rows_of_tool(tool, series)]
    return rows + [row for tool, series in found.items() for row in times_of_tool(tool, series)]


def rows_of_tool(tool: str, series: dict[str, Series]) -> list[Row]:
    """The curve of one tool: its peak at each length, the shortest first."""
    names = list(series)
    goals = dict.fromkeys(names, Goal(LIMIT_MB, ratio=False))
    if len(names) > len(SHORT):
        goals[names[-2]] = CONSTANT
    return rows_of("memory", tool, "MB", series, ours=names[-1], own=True, goals=goals)


def times_of_tool(tool: str, series: dict[str, Series]) -> list[Row]:
    """How long it took at each length."""
    times = {name: Series([[each.facts["seconds"]]]) for name, each in series.items()}
    return rows_of("time", tool, "s", times, own=True)


def _measured(folder: Path, length: int) -> Iterator[tuple[str, float, float]]:
    """Each tool's peak memory in MB and its seconds, at one length."""
    for tool in TOOLS:
        if tool == "diff":
            _run("record", folder, length, "other")
        yield (tool, *_run(tool, folder, length, "one"))
    for session in ("one", "other"):
        shutil.rmtree(folder / session)


def _run(tool: str, folder: Path, length: int, session: str) -> tuple[float, float]:
    command = runner("tool", tool, "--folder", folder, "--session", session, "--other", "other", "--messages", length)
    measured = measure(command, 120 + length / _SLOWEST)
    peak = measured.facts["peak_mb"]
    if not isinstance(peak, float) or peak <= 0:
        raise ProgramFailed(command, f"no memory was seen: {peak}")
    return peak, measured.samples[0]


def _need(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(f"{folder} has {free / 1e9:.1f} GB free, and this needs {size / 1e9:.1f} GB; set TMPDIR")
