"""``horus new``."""

from __future__ import annotations

from pathlib import Path

import click

from horus_cli import show
from horus_cli.arguments import json_option


@click.command("new")
@click.argument("name", type=click.Path())
@json_option()
def command(name: str, as_json: bool) -> None:
    """Make a project in the new folder NAME: a manifest, a graph of two nodes, and its tests.

    It runs, records and tests at once: 'horus run', 'horus run --record first', 'python -m pytest'.
    """
    from horus_core.project.scaffold import make_project

    files = make_project(Path(name))
    if as_json:
        show.as_json({"folder": str(Path(name)), "files": [str(path) for path in files]})
        return
    for path in files:
        show.say(f"made {path}")
    show.say(f"next: cd {name}; horus run --duration 5 --record first; horus record info first; python -m pytest")
