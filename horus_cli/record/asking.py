"""Asks before something is removed."""

from __future__ import annotations

import sys

import click


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on: `yes`, or what a person at a terminal answers.

    Raises:
        click.ClickException: nobody is there to be asked.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(f"{question} Nobody is here to answer; --yes answers for you")
    return click.confirm(question, err=True)
