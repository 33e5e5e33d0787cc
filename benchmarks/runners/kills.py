"""What kills cost a recording: the rounds of ``horus record prove``."""

from __future__ import annotations

import click

from benchmarks.runners import report
from horus_core.trials.prove import RATE, prove


@click.command()
@click.option("--kills", default=20)
@click.option("--seed", default=20261126)
def main(kills: int, seed: int) -> None:
    """Prints for each kill how much of the recording's end was lost, in ms; the facts say whose kill it was."""
    rounds = prove(kills, seed).rounds
    report(
        [each.lost_ticks / RATE * 1e3 for each in rounds],
        victims=[each.victim for each in rounds],
        problems=[each.problem for each in rounds if each.problem],
        wrong=[each.missing + each.repeated + each.torn for each in rounds],
    )


if __name__ == "__main__":
    main()
