#!/usr/bin/env python3
"""Writes docs/python-api.md from the docstrings of the public API; a test holds that it is current.

python docs/generate_python_api.py
"""

from __future__ import annotations

import enum
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "python-api.md"

HEAD = """\
# The Python API

<!-- Made by docs/generate_python_api.py from the docstrings: change those, then run it. -->

`import horus` holds all that a robot needs. Times are in seconds and rates in Hz unless a name or a line says otherwise.
The tools on recordings are in modules of `horus_core` that import pyarrow, so a node's process never pays for them.
"""

# What there is besides `horus`: the tools on recordings.
TOOLS = (
    "horus_core.recording.keeping.sessions.find_session",
    "horus_core.recording.reading.reader.Session",
    "horus_core.recording.keeping.listing.list_sessions",
    "horus_core.recording.reading.summary.summarize",
    "horus_core.recording.compare.compare",
    "horus_core.recording.export.export",
    "horus_core.recording.keeping.edit.trim",
    "horus_core.recording.keeping.edit.tick_at",
    "horus_core.recording.keeping.edit.merge",
    "horus_core.recording.keeping.edit.rename",
    "horus_core.recording.keeping.repair.repair",
    "horus_core.recording.keeping.clean.clean",
    "horus_core.trials.inject.prepare",
    "horus_core.trials.inject.Injection",
)

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples)::?$", re.MULTILINE)


def page() -> str:
    """The page."""
    horus = importlib.import_module("horus")
    found = {name: getattr(horus, name) for name in horus.__all__}
    errors = {name: each for name, each in found.items() if isinstance(each, type) and issubclass(each, BaseException)}
    classes = {name: each for name, each in found.items() if isinstance(each, type) and name not in errors}
    functions = {name: each for name, each in found.items() if callable(each) and not isinstance(each, type)}
    numbers = {name: each for name, each in found.items() if not callable(each)}
    tools = {path: getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2]) for path in TOOLS}
    parts = [HEAD, contents(classes, functions, tools)]
    parts += [described(f"horus.{name}", each, "##") for name, each in (*classes.items(), *functions.items())]
    parts += [numbers_table(numbers), errors_table(errors), "## Tools on recordings\n"]
    parts += [described(name, each, "###") for name, each in tools.items()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def contents(*groups: dict[str, Any]) -> str:
    """The names, with the first line of what is said of each."""
    rows = []
    for name, each in ((name, each) for group in groups for name, each in group.items()):
        full = name if "." in name else f"horus.{name}"
        line = plain(documentation(each).split("\n\n")[0]).partition(". ")[0].rstrip(".:")
        rows.append(f"| [`{name}`](#{anchor(full)}) | {cell(line)} |")
    return "\n".join(["| name | |", "|---|---|", *rows])


def anchor(heading: str) -> str:
    """The link to a heading, as GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def described(name: str, each: Any, depth: str) -> str:
    """A class with its methods, or a function. Of an enumeration, what Python says to pass differs with its version."""
    own = name.rpartition(".")[2]
    if isinstance(each, enum.EnumType):
        shown = "\n".join(f'{own}.{member.name} = "{member.value}"' for member in each)
    else:
        shown = signature(own, each)
    parts = [f"{depth} {name}", f"```python\n{shown}\n```", body(documentation(each))]
    if isinstance(each, type) and not issubclass(each, enum.Enum):
        for member, what in members(each):
            if isinstance(what, property):
                parts += [f"{depth}# `{name.rpartition('.')[2]}.{member}`", body(documentation(what))]
                continue
            function = what.__func__ if isinstance(what, (classmethod, staticmethod)) else what
            shown = signature(member, function, bound=not isinstance(what, staticmethod))
            parts += [f"{depth}# `{name.rpartition('.')[2]}.{member}()`", f"```python\n{shown}\n```"]
            parts.append(body(documentation(function)))
    return "\n\n".join(part for part in parts if part)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class, or a base of ours, defines; in the order of the source."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("horus"):
            continue
        for name, what in vars(base).items():
            known = isinstance(what, (property, classmethod, staticmethod)) or inspect.isfunction(what)
            for_users = "not the user" not in (what.__doc__ or "")
            if known and for_users and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, what


def documentation(each: Any) -> str:
    return inspect.cleandoc(each.__doc__ or "")


def signature(name: str, each: Any, bound: bool = False) -> str:
    """What can be passed: on one line, or a line each."""
    found = inspect.signature(each)
    parts, starred = [], False
    for place, parameter in enumerate(found.parameters.values()):
        if bound and place == 0:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        parts.append(parameter_text(parameter))
    result = annotation(found.return_annotation)
    arrow = f" -> {result}" if result and not isinstance(each, type) else ""
    line = f"{name}({', '.join(parts)}){arrow}"
    return line if len(line) <= 110 else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"


def parameter_text(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = annotation(parameter.annotation)
    text = f"{stars}{parameter.name}" + (f": {kind}" if kind else "")
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {default(parameter.default)}" if kind else f"{text}={default(parameter.default)}"


def annotation(kind: Any) -> str:
    """A type as it is written, without the modules that it comes from."""
    if kind is inspect.Parameter.empty:
        return ""
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def default(value: Any) -> str:
    """A default as it is written; one whose text would be another in the next process has only its type."""
    text = repr(value)
    return text if " at 0x" not in text else f"<{type(value).__name__}>"


def body(text: str) -> str:
    """A docstring as Markdown: its paragraphs, then each section."""
    places = [*_SECTION.finditer(text)]
    parts = list(prose(text[: places[0].start() if places else len(text)]))
    for place, following in itertools.pairwise([*places, None]):
        assert place is not None
        inside = inspect.cleandoc(text[place.end() : following.start() if following else len(text)])
        title = place[1]
        if title.startswith("Example"):
            parts += [f"```python\n{inside}\n```"]
        elif title in ("Returns", "Yields"):
            parts += [f"**{title}** {' '.join(plain(inside).split())}"]
        else:
            parts += [f"**{title}**\n\n" + "\n".join(f"- {entry}" for entry in entries(inside))]
    return "\n\n".join(parts)


def prose(text: str) -> Iterator[str]:
    """The paragraphs before the sections; those that show code as code, lists as lists."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph.lstrip().startswith(">>>"):
            yield f"```python\n{inspect.cleandoc(paragraph)}\n```"
        elif paragraph.startswith("    "):
            yield f"```\n{inspect.cleandoc(paragraph)}\n```"
        elif paragraph:
            yield plain(paragraph)


def entries(text: str) -> Iterator[str]:
    """``name: what it is`` lines, each with those that go on."""
    for entry in re.split(r"\n(?=\S)", text):
        label, colon, meaning = entry.partition(": ")
        said = " ".join(plain(meaning).split())
        yield f"`{plain(label)}`: {said}" if colon else " ".join(plain(entry).split())


def plain(text: str) -> str:
    """reStructuredText's roles and literals as Markdown has them."""
    text = re.sub(r":(?:class|func|meth|mod|attr|exc):`~?([^`]+)`", lambda match: f"`{match[1]}`", text)
    return text.replace("``", "`")


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def numbers_table(numbers: dict[str, Any]) -> str:
    """The constants."""
    rows = [f"| `{name}` | {value!r} |" for name, value in numbers.items()]
    head = "## Constants\n\nSeconds, to write times with: `budget=2 * horus.ms`.\n\n"
    return head + "\n".join(["| name | |", "|---|---|", *rows])


def errors_table(errors: dict[str, Any]) -> str:
    """The exceptions: what they are caught as, and what they say."""
    rows = [
        f"| `{name}` | {', '.join(f'`{base.__name__}`' for base in each.__bases__)} | {cell(plain(documentation(each)))} |"
        for name, each in errors.items()
    ]
    head = "## Exceptions\n\nEach says in one line what is wrong, what was expected and what to try.\n\n"
    return head + "\n".join(["| exception | is also | |", "|---|---|---|", *rows])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
