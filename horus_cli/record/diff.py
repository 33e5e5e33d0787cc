"""``horus record diff``: compares two sessions."""

from __future__ import annotations

import math

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import nodes_option, range_options, session_argument, topics_option
from horus_cli.tables import wide_option


def both_tolerances(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, float]:
    """The numbers in ``ABS`` or ``ABS,REL``."""
    absolute, _, relative = value.partition(",")
    try:
        found = float(absolute), float(relative or 0)
    except ValueError:
        found = math.nan, 0.0
    if not all(each >= 0 for each in found):
        raise click.BadParameter(f"{value!r} is not ABS or ABS,REL: numbers of at least 0", ctx, param)
    return found


@click.command("diff")
@session_argument("a")
@session_argument("b")
@nodes_option("Compare what these nodes sent only.")
@topics_option("Compare these topics only.")
@click.option(
    "--tolerance",
    callback=both_tolerances,
    default="0",
    metavar="ABS[,REL]",
    help="Numbers that differ by at most this are equal; REL times the larger one, if that is more.",
)
@click.option(
    "--ignore", multiple=True, metavar="FIELD", help="Leave a field out; * and ? stand for any letters. Several times."
)
@range_options("Compare")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Fields to show per topic."
)
@wide_option
@json_option()
def command(
    a: str,
    b: str,
    nodes: list[str] | None,
    topics: list[str] | None,
    tolerance: tuple[float, float],
    ignore: tuple[str, ...],
    start_tick: int | None,
    stop_tick: int | None,
    limit: int,
    as_json: bool,
) -> int:
    """Compare sessions A and B: ticks, message counts, and content field by field.

    For each field that differs: the first tick, both values in it, in how many ticks, and the largest difference. How long
    nodes took is shown apart and is no difference.

    Ends with exit code 0 if they are equal, 1 if not, 2 if they cannot be compared.
    """
    from horus_cli.record import differences
    from horus_core.recording.compare import compare
    from horus_core.recording.keeping.sessions import find_session

    one, other = find_session(a), find_session(b)
    found = compare(one, other, nodes, topics, tolerance, ignore, limit, start_tick, stop_tick)
    if as_json:
        show.as_json(found)
        return 0 if found.equal else 1
    names = (found.a, found.b) if found.a != found.b else (a, b)
    differences.show_damage(found)
    differences.show_ticks(found, *names)
    differences.show_topics(found, *names)
    show.say()
    differences.show_timing(found, *names)
    show.say()
    if found.equal:
        show.say("equal")
    elif found.first_tick is None:
        show.say("different")
    else:
        show.say(f"different from tick {found.first_tick} on")
    return 0 if found.equal else 1
