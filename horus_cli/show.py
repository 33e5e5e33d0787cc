"""What commands print: facts, JSON, units, and errors in one line. Tables are in ``tables``.

What goes wrong goes to stderr behind ``horus:``. Everything that commands print goes through here, and is printed without
control characters: a name, a log or a value cannot steer a terminal, nor look like a line of its own. Colours are added behind
that. Tables are in `tables`.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import click

from horus_core.errors import HorusError, NodeFailed, ScriptFailed, StartFailed

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # ANSI, for the names of nodes

# Errors.


def complain(text: str) -> None:
    """Prints what went wrong, behind ``horus:``, on stderr; a traceback may follow in further lines."""
    say_lines(f"horus: {text}", err=True)


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


def say(text: str = "", err: bool = False) -> None:
    """Prints a line; line breaks and control characters in it are shown as what they are.

    Args:
        text: the line; tabs stay.
        err: on stderr.
    """
    click.echo(_harmless(text), err=err)


def say_lines(text: str, err: bool = False) -> None:
    """Prints text whose line breaks are meant, each line as :func:`say` does."""
    click.echo("\n".join(map(_harmless, text.split("\n"))), err=err)


def say_for(node: str, number: int, line: str, err: bool = False) -> None:
    """Prints what the `number`-th node printed, behind its name."""
    click.echo(f"{coloured(f'[{one_line(node)}]', number)} {_harmless(line)}", err=err)


def draw(picture: str) -> None:
    """Prints what a library has drawn, with its colours; who had it drawn has made the words in it harmless."""
    click.echo(picture)


def log_harmlessly() -> None:
    """Has Python print log records of this process as :func:`say_lines` does, unless the script has other wishes."""
    import logging

    class Harmless(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return "\n".join(map(_harmless, super().format(record).split("\n")))

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Harmless())


def _harmless(line: str) -> str:
    return line if line.isprintable() else "\t".join(map(one_line, line.split("\t")))


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


def value(message: Any, readable: bool = False, short: bool = True) -> str:
    """A message's value on one line.

    Args:
        message: the value.
        readable: round numbers to what a person reads, see :func:`rounded`.
        short: of a large array or byte string say only what it is.

    >>> value({"x": 1.5, "on": True}), value(b"\\x01\\xff"), value(0.1 + 0.2, readable=True)
    ('{"x": 1.5, "on": true}', '"hex:01ff"', '0.3')
    """
    import json

    shown = plain(message, short)
    return one_line(json.dumps(rounded(shown) if readable else shown, ensure_ascii=False))


def rounded(shown: Any) -> Any:
    """`shown`, as :func:`plain` gives it, with six digits of each number that is not whole, and never less than three
    behind the point.

    >>> rounded([1 / 3, 2e-7 / 3, 1234.56789, 1_700_000_000.123456, 12345678])
    [0.333333, 6.66667e-08, 1234.568, 1700000000.123, 12345678]
    """
    if isinstance(shown, float):
        if not shown or not math.isfinite(shown):
            return shown
        return round(shown, max(3, 5 - math.floor(math.log10(abs(shown)))))
    if isinstance(shown, dict):
        return {key: rounded(each) for key, each in shown.items()}
    return [rounded(each) for each in shown] if isinstance(shown, list) else shown


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


# Facts.


def facts(pairs: Mapping[str, object] | Iterable[tuple[str, object]]) -> None:
    """Prints names and what they are, a line each, aligned."""
    entries = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    width = max((len(name) for name, _ in entries), default=0)
    for name, value in entries:
        label = one_line(f"{name}:").ljust(width + 1)
        click.echo(f"{click.style(label, dim=True) if at_terminal() else label} {one_line(value)}".rstrip())


# JSON.


def as_json(value: Any, indent: int = 2) -> None:
    """Prints `value` (structs, dataclasses, dicts, lists, numbers, text) as one JSON document; NaN is null."""
    import msgspec

    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:  # the name of a file that is no text
        text = msgspec.json.encode(_as_text(msgspec.to_builtins(value)))
    click.echo(_harmless_json(msgspec.json.format(text, indent=indent)))


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

    click.echo(_harmless_json(msgspec.json.encode(value)))


def _harmless_json(document: bytes) -> str:
    """JSON text in which nothing steers a terminal: what is not printable stands in strings, as ``\\uXXXX``.

    >>> _harmless_json('["\x9b31m\u202e", "é"]'.encode())
    '["\\\\u009b31m\\\\u202e", "é"]'
    """
    return _UNUSUAL.sub(lambda found: _in_json(found[0]), document.decode())


_UNUSUAL = re.compile(r"[^\n -~]")


def _in_json(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


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
