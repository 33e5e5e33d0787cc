"""The pictures: how cost grows with payload, nodes, rate and length, and HORUS beside each peer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.payload import SIZES
from benchmarks.report import Report, Row

_MEGABYTE = 1e6


def draw(report: Report, folder: Path) -> list[Path]:
    """Writes a PNG per picture that there are rows for; none without matplotlib.

    Returns:
        The files.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {words: float(size) for size, words in SIZES.items()}
    curves: list[tuple[str, str, str, Callable[[Row], float | None]]] = [
        ("payload", "Round trip against payload", "bytes there", lambda row: sizes.get(row.case)),
        ("nodes", "Lockstep ticks/s against nodes", "nodes", lambda row: _number(row.case)),
        ("rates", "Messages/s against messages per tick", "messages per tick", _per_tick),
        ("memory", "Peak memory against length", "messages", lambda row: _number(row.subject)),
        ("time", "Time against length", "messages", lambda row: _number(row.subject)),
    ]
    done = []
    for name, title, axis, place in curves:
        rows = [row for row in report.rows if row.benchmark == name and row.median is not None]
        if rows:
            done.append(_curves(rows, title, axis, place, folder / f"{name}.png", report))
    for name, title in (("wakeup", "Wake-up round trip"), ("pacing", "Lateness of ticks"), ("startup", "Start-up")):
        rows = [row for row in report.rows if row.benchmark == name and row.median is not None]
        if rows:
            done.append(_bars(rows, title, folder / f"{name}.png", report))
    return done


def _number(words: str) -> float | None:
    found = re.search(r"[\d,]+", words)
    return None if found is None else float(found.group().replace(",", ""))


def _per_tick(row: Row) -> float | None:
    return _number(row.case) if row.case.endswith("per tick") else None


def _figure(title: str, report: Report) -> tuple[Any, Any]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    machine = report.machine
    axes.set_title(title)
    figure.supxlabel(
        f"{machine.processor}, {machine.cores} cores, {machine.system}; {machine.date}", fontsize=7, color="gray"
    )
    return figure, axes


def _curves(
    rows: Sequence[Row], title: str, axis: str, place: Callable[[Row], float | None], path: Path, report: Report
) -> Path:
    """A line per participant, or per shape or tool where the participants are the places."""
    figure, axes = _figure(title, report)
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        at = place(row)
        if at is None or row.median is None:
            continue
        name = row.case if row.benchmark in ("memory", "time") else row.subject
        if row.benchmark == "nodes":
            name = f"{row.subject}, {row.case.split(' of ')[0]}"
        lines.setdefault(name, []).append((at, row.median))
    for name, points in lines.items():
        points.sort()
        axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=2 if name.startswith("HORUS") else 1)
    axes.set_xscale("log")
    if rows[0].benchmark != "memory":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(axis)
    axes.set_ylabel(rows[0].unit)
    axes.grid(alpha=0.3)
    axes.legend()
    return _saved(figure, path)


def _bars(rows: Sequence[Row], title: str, path: Path, report: Report) -> Path:
    """A bar per row with its median, and a mark at the 99th percentile."""
    figure, axes = _figure(title, report)
    names = [f"{row.case}: {row.subject}" for row in rows]
    colors = ["tab:blue" if row.subject.startswith("HORUS") else "lightgray" for row in rows]
    places = list(range(len(rows)))[::-1]
    axes.barh(places, [row.median for row in rows], color=colors)
    marks = [(row.p99, at) for row, at in zip(rows, places, strict=True) if row.p99 is not None]
    if marks:
        axes.plot(*zip(*marks, strict=True), "|", color="black", label="p99")
        axes.legend()
    axes.set_yticks(places, names, fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel(rows[0].unit)
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
