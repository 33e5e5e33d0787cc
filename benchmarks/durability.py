"""What recordings lose: nothing of 10,000 messages/s in real time beside nodes that burn every core; little when killed.

The first rows count messages: what the sender sent, by its own count, less what the recording holds. The others are the
rounds of ``horus record prove``: milliseconds of the graph's time that a kill took from the end of the recording; messages
missing before that, repeated or torn are in the note, and make the benchmark fail.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.options import Options
from benchmarks.program import Measured, ProgramFailed, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import Series, alternate

PROMISED_MS = {"node": 0.0, "recorder": 0.0, "supervisor": 0.0, "everything": 1000.0}


def run(options: Options) -> list[Row]:
    """Measures both."""
    return [*_flow(options), *_kills(options)]


def _flow(options: Options) -> list[Row]:
    seconds, rows = options.pick(60.0, 6.0), list[Row]()
    for burning in sorted({1, len(options.cores)}):
        words = "beside a node that burns a core" if burning == 1 else f"beside {burning} that burn a core each"
        asked = ["--messages", 10_000, "--seconds", seconds, "--cores", burning]
        series = alternate({"HORUS": partial(measure, runner("flow", *asked), seconds + 60)}, 1)
        facts: dict[str, Any] = series["HORUS"].facts
        note = (
            f"of {facts['sent']:,} sent in {seconds:g} s; {facts['repeated']} repeated, {facts['missed']} deadlines missed, "
            f"{facts['dropped']} dropped before they were read; {facts['burnt']:.2f} cores burnt"
        )
        goals = {"HORUS": Goal(0, ratio=False)}
        rows += rows_of("durability", f"10,000/s {words}", "lost", series, goals=goals, notes={"HORUS": note})
    return rows


def _kills(options: Options) -> list[Row]:
    kills = options.pick(40, 4)
    command = runner("kills", "--kills", kills)
    measured = measure(command, 30.0 * kills)
    facts: dict[str, Any] = measured.facts
    if facts["problems"] or any(facts["wrong"]):
        raise ProgramFailed(command, f"{facts['problems']}, wrong messages per kill: {facts['wrong']}")
    return rows_of_kills(measured)


def rows_of_kills(measured: Measured) -> list[Row]:
    """A row for each kind of victim: the worst of its kills."""
    found: list[Row] = []
    victims: list[str] = measured.facts["victims"]  # type: ignore[assignment]
    for victim, promised in PROMISED_MS.items():
        lost = [each for each, whose in zip(measured.samples, victims, strict=True) if whose == victim]
        if not lost:
            continue
        series = {"HORUS": Series([[max(lost)]])}
        words = f"worst of {len(lost)}; none missing before the end, repeated or torn"
        goals = {"HORUS": Goal(promised, ratio=False)}
        found += rows_of("durability", f"SIGKILL of {victim}", "ms lost", series, goals=goals, notes={"HORUS": words})
    return found
