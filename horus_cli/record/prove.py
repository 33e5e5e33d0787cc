"""``horus record prove``: kills a recorded graph on this machine and looks at what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option

if TYPE_CHECKING:
    from horus_core.trials.prove import Proof, Round


@click.command("prove")
@click.option("--kills", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How often to kill.")
@click.option("--seed", type=int, help="Of the random moments; by default a new one.")
@json_option()
def command(kills: int, seed: int | None, as_json: bool) -> None:
    """Prove what recordings promise, on this machine.

    Records a busy graph, kills a node, the recorder, the supervisor or all of them at a random moment, and opens the session,
    as often as asked. Exit code 1 if a promise was broken. docs/durability.md says what is promised.
    """
    from horus_core.trials.prove import prove

    proof = prove(kills, seed, None if as_json else _show_round)
    if as_json:
        show.as_json(
            {"kept": proof.kept, "worst_ticks": proof.worst_ticks, "worst_ms": proof.worst_ms, "rounds": proof.rounds}
        )
    else:
        show.say(_result(proof))
    click.get_current_context().exit(0 if proof.kept else 1)


def _show_round(found: Round) -> None:
    lost = "nothing lost" if not found.lost_ticks else f"the last {found.lost_ticks} of {found.released + 1} ticks lost"
    facts = f"missing {found.missing}, repeated {found.repeated}, torn {found.torn}, damaged batches {found.damaged}"
    words = f"broken: {show.one_line(found.problem)}" if found.problem else f"{lost}; {facts}; {found.state}"
    show.say(f"killed {found.victim:10s}  {words}")


def _result(proof: Proof) -> str:
    readable = sum(not each.problem for each in proof.rounds)
    torn = sum(each.torn for each in proof.rounds)
    verdict = "every promise kept" if proof.kept else "a promise was BROKEN"
    return (
        f"{readable} of {len(proof.rounds)} sessions read; worst loss {proof.worst_ticks} ticks ({proof.worst_ms:.0f} ms); "
        f"{torn} torn messages; {verdict} (--seed {proof.seed})"
    )
