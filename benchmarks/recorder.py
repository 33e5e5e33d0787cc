"""What the recorder can take: small messages beside the mcap package's writer, frames beside the bare disk."""

from __future__ import annotations

from functools import partial

from benchmarks.options import Options
from benchmarks.program import measure, peer, runner
from benchmarks.report import Goal, Row, rows_of
from benchmarks.rounds import alternate

MCAP, DISK = "mcap writer", "the same bytes, write and fdatasync"


def run(options: Options) -> list[Row]:
    """Measures both kinds."""
    rounds = options.pick(7, 2)
    messages, frames = options.pick(1_000_000, 200_000), options.pick(150, 30)
    small = alternate(
        {
            "HORUS": partial(measure, runner("recorder", "--messages", messages)),
            MCAP: partial(measure, peer("mcap_messages", "--messages", messages // 5)),
        },
        rounds,
    )
    large = alternate(
        {
            "HORUS": partial(measure, runner("frames", "--frames", frames)),
            DISK: partial(measure, peer("plain_frames", "--frames", frames)),
        },
        rounds,
    )
    notes = {
        "HORUS": "messages per second of the recorder's processor time",
        MCAP: "not compressed; its processor time",
    }
    goals = {MCAP: Goal(15, at_least=True)}
    rows = rows_of("recorder", "small dicts", "messages/s", small, "higher", goals=goals, notes=notes)
    notes = {"HORUS": "from the first tick to the closed files, in lockstep"}
    goals = {DISK: Goal(0.8, at_least=True)}
    return rows + rows_of("recorder", "6 MB frames", "MB/s", large, "higher", scale=1e-6, goals=goals, notes=notes)
