"""What commands print: tables, facts, JSON, units, and errors in one line.

At a terminal a table is drawn with rich, elsewhere it is aligned text with a line per row. What goes wrong goes to stderr
behind ``horus:``. Text from files and nodes is shown without control characters, so that it cannot steer a terminal.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from horus_core.errors import HorusError, NodeFailed, ScriptFailed, StartFailed

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # ANSI, for the names of nodes

# Errors.


def complain(text: str) -> None:
    """Prints what went wrong, behind ``horus:``, on stderr."""
    click.echo(f"horus: {text}", err=True)


def explain(problem: BaseException) -> tuple[str, int] | None:
    """The words and the exit code for an error that is not a bug of ours; None for one that is."""
    if isinstance(problem, (NodeFailed, StartFailed, ScriptFailed)):
        return str(problem), 1
    if isinstance(problem, HorusError):
        return one_line(str(problem)), 2
    if isinstance(problem, OSError) and problem.strerror:
        place = f"{problem.filename}: " if problem.filename is not None else ""
        return one_line(f"{place}{problem.strerror}"), 2
    return None


# Text.


def one_line(text: object) -> str:
    """`text` without line breaks and other control characters.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in shown)


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(0), size(1532), size(48_000_000)
    ('0 B', '1.53 kB', '48 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{_three_digits(count) if unit != 'B' else format(count, '.0f')} {unit}"
        count /= 1000
    return f"{_three_digits(count)} TB"


def duration(seconds: float) -> str:
    """A time span for people.

    >>> duration(0.0000032), duration(0.0471), duration(12.34), duration(4000)
    ('3.2 µs', '47.1 ms', '12.3 s', '1:06:40')
    """
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms"), (1, "s")):
        if abs(seconds) * factor < (999.5 if unit != "s" else 120):
            return f"{_three_digits(seconds * factor)} {unit}"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rate(hertz: float | None) -> str:
    """A rate for people.

    >>> rate(100.0), rate(99.87), rate(None)
    ('100 Hz', '99.9 Hz', '-')
    """
    return "-" if hertz is None else f"{_three_digits(hertz)} Hz" if hertz < 1000 else f"{hertz:,.0f} Hz"


def when(time_ns: int) -> str:
    """A point in time, as the local clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns / 1e9))


def _three_digits(number: float) -> str:
    text = f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}"
    return text if "e" not in text else f"{number:.0f}"


# Values of messages.

_SHOWN_ITEMS, _SHOWN_BYTES = 16, 32


def value(message: Any) -> str:
    """A message's value on one line; of a large array or byte string only what it is.

    >>> value({"x": 1.5, "on": True}), value(b"\\x01\\xff")
    ('{"x": 1.5, "on": true}', '"hex:01ff"')
    """
    import json

    return one_line(json.dumps(plain(message, short=True), ensure_ascii=False))


def plain(message: Any, short: bool = False) -> Any:
    """A message's value as JSON has it: arrays as lists, bytes as ``hex:...``, structs and dataclasses as objects.

    Args:
        message: the value.
        short: describe large arrays and byte strings instead.
    """
    if message is None or isinstance(message, (bool, int, float, str)):
        return message
    if isinstance(message, (bytes, bytearray, memoryview)):
        cut = short and len(message) > _SHOWN_BYTES
        shown = bytes(message[:_SHOWN_BYTES] if cut else message).hex()
        return f"hex:{shown}" + (f"... ({len(message):,} bytes)" if cut else "")
    if isinstance(message, dict):
        return {key if isinstance(key, str) else str(key): plain(each, short) for key, each in message.items()}
    if isinstance(message, (list, tuple, set, frozenset)):
        return [plain(each, short) for each in message]
    if hasattr(message, "dtype"):  # an array, or a scalar of NumPy's, which need not be imported to know it
        if short and message.size > _SHOWN_ITEMS:
            return f"array of {'x'.join(map(str, message.shape))} {message.dtype}"
        return plain(message.tolist(), short)
    fields = getattr(message, "__struct_fields__", None) or getattr(message, "__dataclass_fields__", None)
    return {name: plain(getattr(message, name), short) for name in fields} if fields else str(message)


# Tables.


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Prints a table.

    Args:
        columns: the headings; one that begins with ``>`` is of a column of numbers and aligned to the right.
        rows: the cells.
        title: a line above it.
    """
    if at_terminal():
        from rich.console import Console

        Console(highlight=False).print(drawn(columns, rows, title))
        return
    names, right, cells = _taken_apart(columns, rows)
    if title:
        click.echo(title)
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for row in (names, *cells):
        line = "  ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right, strict=True)
        )
        click.echo(line.rstrip())


def drawn(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Any:
    """A table as rich draws it; arguments as for :func:`table`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names, right, cells = _taken_apart(columns, rows)
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name, numeric in zip(names, right, strict=True):
        made.add_column(Text(name), justify="right" if numeric else "left")
    for row in cells:
        made.add_row(*(Text(cell) for cell in row))
    return made


def _taken_apart(
    columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> tuple[list[str], list[bool], list[list[str]]]:
    """The names of the columns, whether they are aligned to the right, and the text of the cells."""
    names = [name.lstrip(">") for name in columns]
    return names, [name.startswith(">") for name in columns], [[one_line(cell) for cell in row] for row in rows]


def facts(pairs: Mapping[str, object] | Iterable[tuple[str, object]]) -> None:
    """Prints names and what they are, a line each, aligned."""
    entries = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    width = max((len(name) for name, _ in entries), default=0)
    for name, value in entries:
        label = f"{name}:".ljust(width + 1)
        click.echo(f"{click.style(label, dim=True) if at_terminal() else label} {one_line(value)}".rstrip())


# JSON.


def as_json(value: Any, indent: int = 2) -> None:
    """Prints `value` (structs, dataclasses, dicts, lists, numbers, text) as one JSON document; NaN is null."""
    import msgspec

    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:  # the name of a file that is no text
        text = msgspec.json.encode(_as_text(msgspec.to_builtins(value)))
    click.echo(msgspec.json.format(text, indent=indent).decode())


def _as_text(value: Any) -> Any:
    """`value` with the bytes that are no text in its strings as they are shown."""
    if isinstance(value, str):
        return "".join(each if not "\ud800" <= each <= "\udfff" else repr(each)[1:-1] for each in value)
    if isinstance(value, dict):
        return {_as_text(key): _as_text(each) for key, each in value.items()}
    return [_as_text(each) for each in value] if isinstance(value, list) else value


def as_json_line(value: Any) -> None:
    """Prints `value` as JSON on one line, at once; for commands that print as things happen."""
    import msgspec

    click.echo(msgspec.json.encode(value))


# Terminals.


def at_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """The width of the terminal."""
    return shutil.get_terminal_size().columns


def coloured(text: str, number: int) -> str:
    """`text` in the colour of the `number`-th node, at a terminal that has colours."""
    if not at_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[number % len(COLOURS)]}m{text}\x1b[0m"


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def width(text: str) -> int:
    """The places that `text` takes, colours left out."""
    return len(_ESCAPES.sub("", text))
