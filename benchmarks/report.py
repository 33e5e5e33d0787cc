"""What was measured, as rows: for the terminal, for the JSON file, for the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import Machine
from benchmarks.rounds import Series

BEGIN, END = "<!-- table: written by python -m benchmarks readme -->", "<!-- end of table -->"
_FEW = 100  # samples below which a 99th percentile says nothing


class Goal(msgspec.Struct, frozen=True):
    """What a figure should be.

    Attributes:
        limit: the value.
        at_least: the figure should not be less; else not more.
        ratio: it is about the ratio to a peer; else about the median itself.
    """

    limit: float
    at_least: bool = False
    ratio: bool = True

    def met(self, row: Row) -> bool | None:
        """Whether `row` meets it, None if it has no such figure."""
        figure = row.ratio if self.ratio else row.median
        if figure is None:
            return None
        return figure >= self.limit if self.at_least else figure <= self.limit

    def words(self, unit: str) -> str:
        """``"at most 1.3 ×"``."""
        return f"at {'least' if self.at_least else 'most'} {figure(self.limit)} {'×' if self.ratio else unit}"


class Row(msgspec.Struct):
    """One figure.

    Attributes:
        benchmark, case, subject: what was measured of whom, for example "wakeup", "one core", "pyzmq ipc".
        unit: of median and p99.
        better: "lower" or "higher".
        own: whether it is HORUS itself, in another mode or at another size.
        ratio: the median over the rounds of HORUS's median by this one's; None for HORUS itself.
        goal: what HORUS is to reach against this one.
        note: what to know about it; or why there is no figure.
    """

    benchmark: str
    case: str
    subject: str
    unit: str
    better: str
    own: bool = False
    median: float | None = None
    p99: float | None = None
    samples: int = 0
    rounds: int = 0
    ratio: float | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it from run to run."""
        return self.benchmark, self.case, self.subject

    @property
    def verdict(self) -> str:
        """``"met"``, ``"missed"``, or nothing to say."""
        met = None if self.goal is None else self.goal.met(self)
        return "" if met is None else "met" if met else "missed"

    @property
    def ahead(self) -> bool:
        """Whether this one, a peer, is ahead of HORUS."""
        if self.ratio is None or self.own:
            return False
        return self.ratio > 1.0 if self.better == "lower" else self.ratio < 1.0


class Report(msgspec.Struct):
    """A run of the benchmarks."""

    machine: Machine
    command: str
    quick: bool
    rows: list[Row]

    def save(self, path: Path) -> None:
        """Writes the JSON file."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Reads the JSON file."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def rows_of(
    benchmark: str,
    case: str,
    unit: str,
    series: Mapping[str, Series],
    better: str = "lower",
    ours: str = "HORUS",
    scale: float = 1.0,
    own: bool = False,
    goals: Mapping[str, Goal] | None = None,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """The rows of one comparison.

    Args:
        benchmark, case, unit, better: as in :class:`Row`.
        series: what each participant measured.
        ours: who the others are compared with.
        scale: from the samples' unit to `unit`.
        own: all of them are HORUS itself.
        goals, notes: per participant.
    """
    rows = []
    for name, found in series.items():
        row = Row(
            benchmark,
            case,
            name,
            unit,
            better,
            own or name.startswith("HORUS"),
            goal=(goals or {}).get(name),
            note=(notes or {}).get(name, ""),
        )
        rows.append(row)
        if found.missing:
            row.note = found.missing
            continue
        samples = found.samples
        row.median, row.samples, row.rounds = found.median * scale, len(samples), len(found.rounds)
        # The bad end: the slowest hundredth of times, the lowest of rates.
        if len(samples) >= _FEW:
            row.p99 = found.percentile(0.99 if better == "lower" else 0.01) * scale
        if name != ours and ours in series:
            row.ratio = series[ours].ratio_to(found)
    return rows


def figure(value: float | None) -> str:
    """A number with three significant digits.

    >>> figure(0.01234), figure(12.34), figure(12345.6)
    ('0.0123', '12.3', '12,300')
    """
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def cells(row: Row) -> list[str]:
    """A row as a table shows it."""
    goal = "" if row.goal is None else f"{row.goal.words(row.unit)}{': ' + row.verdict if row.verdict else ''}"
    count = f"{row.samples}" if row.rounds <= 1 else f"{row.samples} in {row.rounds}"
    ratio = figure(row.ratio) + (" (ahead)" if row.ahead else "") if row.ratio is not None else ""
    median = "no figure" if row.median is None else f"{figure(row.median)} {row.unit}"
    return [row.case, row.subject, median, figure(row.p99) if row.p99 is not None else "", count, ratio, goal, row.note]


HEAD = ["case", "who", "median", "p99", "samples", "HORUS / it", "goal", "note"]


def text(rows: Sequence[Row]) -> str:
    """The rows of one benchmark as an aligned table."""
    table = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown(report: Report) -> str:
    """All rows as Markdown, a table per benchmark."""
    machine = report.machine
    parts = [f"{machine.words()}\n\nMeasured on {machine.date} with `{report.command}`."]
    if report.quick:
        parts[0] += " A quick run: orders of magnitude, not figures."
    for name in dict.fromkeys(row.benchmark for row in report.rows):
        lines = [f"### {name}", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [f"| {' | '.join(cells(row))} |" for row in report.rows if row.benchmark == name]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def write_readme(report: Report, path: Path) -> None:
    """Replaces the block of the README that holds the table."""
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n\n{END}{after}")
