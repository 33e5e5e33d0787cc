"""``horus doctor``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.tables import Column, table, wide_option

_MARKS = {"ok": " ", "limited": "!", "broken": "X"}


@click.command("doctor")
@wide_option
@json_option()
def command(as_json: bool) -> int:
    """Say what this machine grants: cores, limits, real-time rights, memory, clock, kernel, folders and versions.

    What works less well than it could is marked with !, what keeps graphs from running with X, with a line of advice each.
    The exit code is 1 if anything is marked with X.
    """
    from horus_core.project.doctor import checkup

    findings = checkup()
    if as_json:
        show.as_json(findings)
    else:
        table(
            (Column("", 9), Column("what", 10), Column("here", 8, folds=True), Column("what helps", 7, folds=True)),
            [(_MARKS[each.grade], each.name, each.value, each.advice) for each in findings],
        )
    return int(any(each.grade == "broken" for each in findings))
