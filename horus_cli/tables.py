"""Tables: whole headings and whole cells, at any width of the terminal.

At a terminal that is too narrow for a table, the columns of the least weight are left out, and a line below it says which.
Cells of words may go on in a next line; a name is cut, in its middle, only where it would take more than 32 places and half
of the terminal. With ``--wide``, and in a pipe, every column is shown in full, a line per row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from horus_cli import show

Command = TypeVar("Command", bound=Callable[..., Any])

_WIDE = "horus.wide"
_GAP = "  "
_NAME = 32  # places that the names of a row may take, however narrow the terminal
_FOLDED = 16  # places that a column of words has at least, if its cells are that long
_MARGIN = 1  # places on the left, at a terminal


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: the heading; one that begins with ``>`` is of a column of numbers and aligned to the right.
        weight: how much it matters. Where there is no room, the column of the least weight goes first, of equal ones the last.
        folds: its cells are words, which may go on in a next line.
    """

    name: str
    weight: int = 5
    folds: bool = False

    @property
    def heading(self) -> str:
        """What stands above it."""
        return show.one_line(self.name.removeprefix(">"))

    def aligned(self, cell: str, width: int) -> str:
        """`cell`, filled with spaces to `width` places."""
        space = " " * (width - places(cell))
        return space + cell if self.name.startswith(">") else cell + space


Columns = Sequence[str | Column]


def table(columns: Columns, rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Prints a table.

    Args:
        columns: the columns; text is a :class:`Column` of that name.
        rows: the cells.
        title: a line above it.
    """
    terminal = show.at_terminal()
    room = show.columns() if terminal and not wide_wanted() else None
    for line in lines(columns, rows, room, title, plain=not terminal, hint="; --wide shows all"):
        show.say(line)


def lines(
    columns: Columns,
    rows: Iterable[Sequence[object]],
    room: int | None,
    title: str = "",
    plain: bool = False,
    hint: str = "",
) -> list[str]:
    """The lines of a table.

    Args:
        columns, rows, title: as for :func:`table`.
        room: the places that a line may take; None for any number.
        plain: without a rule and a margin, for programs.
        hint: what to do about what is not shown; behind the line that says so.
    """
    made = [Column(each) if isinstance(each, str) else each for each in columns]
    cells = [[show.one_line(cell) for cell in row] for row in rows]
    margin = "" if plain else " " * _MARGIN
    fit = _fit(made, cells, None if room is None else room - len(margin))
    drawn = _row([column.heading for column in made], made, fit)
    if not plain:
        drawn.append("─" * (sum(fit.widths) + len(_GAP) * (len(fit.widths) - 1)))
    for row in cells:
        drawn += _row(row, made, fit)
    said = fit.said(made)
    below = folded(said + hint, room) if said and room is not None else []
    return [*([title] if title else []), *((margin + line).rstrip() for line in drawn), *below]


@dataclass(frozen=True)
class _Fit:
    """What of a table is shown: the columns' positions and widths, which are left out, and the one whose cells are cut."""

    shown: list[int]
    widths: list[int]
    left_out: list[int]
    cut: int | None = None

    def said(self, columns: Sequence[Column]) -> str:
        """What is not to be seen, in words; '' if everything is."""
        names = [columns[each].heading for each in self.left_out if columns[each].heading]
        parts = [f"not shown: {', '.join(names)}"] if names else []
        if self.cut is not None:
            parts.append(f"cut short: {columns[self.cut].heading}")
        return "; ".join(parts)


def _fit(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int | None) -> _Fit:
    """What of a table is shown in `room` places."""
    everything = list(range(len(columns)))
    texts = [[column.heading, *(row[each] for row in cells)] for each, column in enumerate(columns)]
    whole = [max(map(places, text)) for text in texts]
    if room is None or not columns:
        return _Fit(everything, whole, [])
    widths = [_least(text) if columns[each].folds else whole[each] for each, text in enumerate(texts)]
    kept = sorted(everything, key=lambda each: (-columns[each].weight, each))
    key = kept[0]
    widths[key] = min(widths[key], max(room // 2, _NAME, places(columns[key].heading)))

    def spare() -> int:
        return room - sum(widths[each] for each in kept) - len(_GAP) * (len(kept) - 1)

    while len(kept) > 1 and spare() < 0:
        kept.pop()
    for each in kept:
        widths[each] += min(spare(), whole[each] - widths[each])
    cut = key if widths[key] < whole[key] and not columns[key].folds else None
    left_out = [each for each in everything if each not in kept]
    return _Fit(sorted(kept), [widths[each] for each in sorted(kept)], left_out, cut)


def _least(texts: Sequence[str]) -> int:
    """The places without which a word of `texts` (the first is a heading) would not be whole."""
    words = (places(word.rstrip()) for text in texts[1:] for word in _words(text))
    return max(places(texts[0]), min(_FOLDED, max(map(places, texts))), *words)


def _row(cells: Sequence[str], columns: Sequence[Column], fit: _Fit) -> list[str]:
    """The lines of one row."""
    cut = [
        folded(cells[position], width) if columns[position].folds else [_cut(cells[position], width)]
        for position, width in zip(fit.shown, fit.widths, strict=True)
    ]
    return [
        _GAP.join(
            columns[position].aligned(each[line] if line < len(each) else "", width)
            for each, position, width in zip(cut, fit.shown, fit.widths, strict=True)
        )
        for line in range(max(map(len, cut), default=0))
    ]


def _words(text: str) -> list[str]:
    """`text` in pieces between which a line may end: behind a space, or a slash of a path."""
    return re.findall(r"[^ /]*[ /]+|[^ /]+", text)


def folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` places, as far as its words let that be."""
    found = [""]
    for word in _words(text):
        if found[-1] and places(found[-1] + word.rstrip()) > width:
            found.append("")
        found[-1] += word
    return [_cut(line.rstrip(), width) for line in found]


def _cut(text: str, width: int) -> str:
    """`text`, or as much of its beginning and end as goes into `width` places, with an ellipsis between."""
    if places(text) <= width:
        return text
    head, tail = text[: (len(text) + 1) // 2], text[(len(text) + 1) // 2 :]
    while head and places(head) + places(tail) + 1 > width:
        head, tail = (head[:-1], tail) if len(head) > len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def places(text: str) -> int:
    """The places that `text` takes at a terminal.

    >>> places("tick"), places("時刻"), places("e\\u0301")
    (4, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


# The option.


def wide_option(command: Command) -> Command:
    """``--wide``, for a command that prints tables."""
    help = "Show all columns of tables, however narrow the terminal is."
    return click.option("--wide", is_flag=True, expose_value=False, callback=_note, help=help)(command)


def _note(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[_WIDE] = value


def wide_wanted() -> bool:
    """Whether the command line that runs has ``--wide``."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_WIDE))
