"""Runs the ``horus`` command in a pseudo-terminal of a given width, and takes apart the tables that it draws there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect

from tests.horus_command import COMMAND, PATIENCE, environment

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[=>])")


def at_terminal(
    *arguments: str | Path, columns: int, rows: int = 40, env: Mapping[str, str] | None = None
) -> pexpect.spawn:
    """Starts the command in a terminal of that size."""
    told = {**(env or environment()), "TERM": "xterm-256color"}
    told.pop("COLUMNS", None)
    return pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *map(str, arguments)],
        env=told,
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(rows, columns),
    )


def shown(*arguments: str | Path, columns: int, code: int = 0, env: Mapping[str, str] | None = None) -> list[str]:
    """The lines that the command prints in a terminal so wide, up to its end with exit code `code`."""
    terminal = at_terminal(*arguments, columns=columns, env=env)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code, terminal.before
    return without_escapes(terminal.before).splitlines()


def without_escapes(text: str) -> str:
    """`text` as it is read."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def tables_of(lines: Sequence[str]) -> list[tuple[list[str], list[list[str]], str]]:
    """The tables in `lines`: headings, rows of cells (those of a folded cell joined again), and what is said of other columns.

    A cell belongs to the heading whose place it shares; that every cell shares the place of just one is asserted.
    """
    found = []
    for rule, line in enumerate(lines):
        if not re.fullmatch(r" ─+ *", line):
            continue
        spans = [match.span() for match in re.finditer(r"\S+(?: \S+)*", lines[rule - 1])]
        headings = [lines[rule - 1][start:stop] for start, stop in spans]
        rows: list[list[str]] = []
        said: list[str] = []
        for below in lines[rule + 1 :]:
            if not below.strip():
                break
            if not below.startswith(" "):
                said.append(below)
                continue
            cells = dict.fromkeys(range(len(spans)), "")
            for match in re.finditer(r"\S+(?: \S+)*", below):
                places = [
                    each for each, span in enumerate(spans) if match.start() < span[1] and span[0] < match.end()
                ] or [max(each for each, span in enumerate(spans) if span[0] <= match.start())]
                assert len(places) == 1, (below, match[0])
                cells[places[0]] = match[0]
            if rows and not cells[0]:  # goes on
                rows[-1] = [f"{cell} {more}".strip() for cell, more in zip(rows[-1], cells.values(), strict=True)]
            else:
                rows.append(list(cells.values()))
        found.append((headings, rows, " ".join(said)))
    return found
