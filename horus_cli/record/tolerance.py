"""``--tolerance``: what numbers may differ by, of all fields or of one, on the command line and in ``horus.toml``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from horus_core.recording.reading.reader import Session

Command = TypeVar("Command", bound=Callable[..., Any])
Both = tuple[float, float]


class Tolerances(NamedTuple):
    """What was given: of all fields, and of single ones by name."""

    default: Both
    fields: dict[str, Both]

    def with_project(self, folder: Path, *sessions: Session) -> dict[str, Both]:
        """The tolerances of single fields, those of the project in `folder` before those of the command line.

        Raises:
            InvalidValue: one on the command line is of no topic of `sessions`.
        """
        from horus_core.project.manifest import MANIFEST, read_project
        from horus_core.recording.compare.tolerance import check_fields

        topics = sorted({lane.topic for session in sessions for lane in session.graph.lanes})
        check_fields(self.fields, topics)
        known = read_project(folder).tolerances if (folder / MANIFEST).is_file() else {}
        return {**{name: given for name, given in known.items() if name not in self.fields}, **self.fields}


def tolerance_option(command: Command) -> Command:
    """``--tolerance ABS[,REL]`` and ``--tolerance TOPIC.FIELD=ABS[,REL]``, which may be given several times."""
    return click.option(
        "--tolerance",
        "tolerances",
        multiple=True,
        callback=_all_tolerances,
        metavar="[TOPIC.FIELD=]ABS[,REL]",
        help="Numbers that differ by at most this are equal; REL times the larger one, if that is more. Of one field, or of "
        "all others. Several times.",
    )(command)


def _all_tolerances(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Tolerances:
    default, fields = (0.0, 0.0), {}
    for text in value:
        name, equals, numbers = text.rpartition("=")
        if equals and name:
            fields[name] = _both(ctx, param, text, numbers)
        else:
            default = _both(ctx, param, text, text)
    return Tolerances(default, fields)


def _both(ctx: click.Context, param: click.Parameter, text: str, numbers: str) -> Both:
    absolute, _, relative = numbers.partition(",")
    try:
        found = _number(absolute), _number(relative or "0")
    except ValueError:
        found = math.nan, 0.0
    if not all(each >= 0 for each in found):
        raise click.BadParameter(f"{text!r} is not [TOPIC.FIELD=]ABS[,REL]: numbers of at least 0", ctx, param)
    return found


def _number(text: str) -> float:
    """A number; one without a point as the integer that it is, however large."""
    try:
        return int(text)
    except ValueError:
        return float(text)
