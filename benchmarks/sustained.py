"""10,000 messages per second for a minute, in real time and recorded, beside a node that keeps a core busy: what is lost.

Every message has a number; the recording is counted against what the sender says that it sent.
"""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import Measured, measure, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

NOTHING = Goal(0.0, ratio=False)


def run(options: Options) -> list[Row]:
    """Measures once."""
    seconds = options.pick(60.0, 5.0)
    asked = ["--per-tick", 100, "--seconds", seconds, "--paced", "--recorded", "--burner"]
    found: list[Measured] = []

    def go() -> Measured:
        found.append(measure(runner("throughput", *asked)))
        return found[-1]

    case = f"10,000/s for {seconds:g} s"
    rows = rows_of("sustained", case, "messages/s", alternate({"HORUS, recorded": go}, 1), "higher")
    facts = found[-1].facts
    for what in ("lost", "dropped"):
        series = alternate({f"HORUS, {what}": partial(_counted, facts[what])}, 1)
        notes = {f"HORUS, {what}": f"of {facts['sent']:,} sent; {facts['missed']} deadlines missed"}
        rows += rows_of("sustained", case, "messages", series, goals={f"HORUS, {what}": NOTHING}, notes=notes)
    return rows


def _counted(number: object) -> Measured:
    return Measured([float(number)])  # type: ignore[arg-type]
