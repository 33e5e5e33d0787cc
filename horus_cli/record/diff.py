"""``horus record diff``: compares two sessions."""

from __future__ import annotations

from pathlib import Path

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.options import nodes_option, range_options, session_argument, topics_option
from horus_cli.record.tolerance import Tolerances, tolerance_option
from horus_cli.tables import wide_option


@click.command("diff")
@session_argument("a")
@session_argument("b")
@nodes_option("Compare what these nodes sent only.")
@topics_option("Compare these topics only.")
@tolerance_option
@click.option(
    "--ignore", multiple=True, metavar="FIELD", help="Leave a field out; * and ? stand for any letters. Several times."
)
@range_options("Compare")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Fields to show per topic."
)
@wide_option
@click.option("--all", "everything", is_flag=True, help="Show what is equal too, and how long nodes took.")
@json_option()
def command(
    a: str,
    b: str,
    nodes: list[str] | None,
    topics: list[str] | None,
    tolerances: Tolerances,
    ignore: tuple[str, ...],
    start_tick: int | None,
    stop_tick: int | None,
    limit: int,
    everything: bool,
    as_json: bool,
) -> int:
    """Compare sessions A and B: ticks, message counts, and content field by field.

    The first line says whether they are equal. Then comes what differs: for each field the first tick, both values in it, in
    how many ticks, and the largest difference. How long nodes took is no difference; --all shows it.

    horus.toml in this folder may say tolerances too, in its section [diff.tolerance].

    Ends with exit code 0 if they are equal, 1 if not, 2 if they cannot be compared.
    """
    from horus_cli.record import differences
    from horus_core.recording.compare import compare
    from horus_core.recording.keeping.sessions import find_session

    one, other = find_session(a), find_session(b)
    fields = tolerances.with_project(Path(), one, other)
    with progress("comparing", one, other):
        found = compare(one, other, nodes, topics, tolerances.default, ignore, limit, start_tick, stop_tick, fields)
    if as_json:
        show.as_json(found)
    else:
        names = (found.a, found.b) if found.a != found.b else (a, b)
        differences.show_damage(found)
        differences.show_comparison(found, *names, everything)
    return 0 if found.equal else 1
