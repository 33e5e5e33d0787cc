"""``horus record merge``: the nodes of two sessions in one."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.edited import show_edit
from horus_cli.record.options import session_argument


@click.command("merge")
@session_argument("a")
@session_argument("b")
@click.argument("new")
@json_option()
def command(a: str, b: str, new: str, as_json: bool) -> None:
    """Make session NEW with the nodes of A and of B, tick by tick.

    The two must have the same tick rate and no node in common. Script, seed and clock are those of A.
    """
    from horus_core.recording.keeping.edit import merge
    from horus_core.recording.keeping.sessions import find_session

    one, other = find_session(a), find_session(b)
    with progress("merging", one, other):
        report = merge(one, other, new)
    if as_json:
        show.as_json(report)
    else:
        show_edit(report)
