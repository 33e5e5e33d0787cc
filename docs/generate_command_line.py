#!/usr/bin/env python3
"""Writes docs/command-line.md from the commands themselves; a test holds that it is current.

python docs/generate_command_line.py
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click
import msgspec

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "command-line.md"

HEAD = """\
# The `horus` command

<!-- Made by docs/generate_command_line.py from the commands' own help: change that, then run it. -->

`horus COMMAND --help` shows the same. Where a command takes `--json`, standard output holds JSON and nothing else; what it
looks like is [at the end](#what---json-prints).

Exit codes are 0 for success, 1 if a node or a script failed (or what the command says of itself), 2 for misuse, with one line
on standard error that says what is wrong, and 130 after Ctrl-C.
"""

JSON_HEAD = """\
## What `--json` prints

Times are in the unit that the name ends in. New fields may be added; those that are here keep their meaning.
"""


def outputs() -> dict[str, Any]:
    """Per command, the type of what ``--json`` prints, where that is declared."""
    from horus_cli.record.replay import ReplayResult
    from horus_cli.running import RunSummary
    from horus_core.inspection.observer import GraphView, NodeView, TopicView
    from horus_core.inspection.tap import Measure, Message
    from horus_core.project.doctor import Finding
    from horus_core.project.preview import GraphPreview
    from horus_core.recording.compare.result import Comparison
    from horus_core.recording.export import ExportReport
    from horus_core.recording.keeping.blackbox import Blackboxes
    from horus_core.recording.keeping.clean import CleanReport
    from horus_core.recording.keeping.edit import EditReport
    from horus_core.recording.keeping.listing import Listing
    from horus_core.recording.keeping.repair import RepairReport
    from horus_core.recording.reading.summary import SessionSummary
    from horus_core.trials.inject import InjectionResult
    from horus_daemon.daemon_to_client import DaemonStatus, GraphInfo

    return {
        "run": RunSummary,
        "check": GraphPreview,
        "doctor": list[Finding],
        "top": GraphView,
        "topic list": list[TopicView],
        "topic info": TopicView,
        "topic echo": Message,
        "topic hz": Measure,
        "topic bw": Measure,
        "node list": list[NodeView],
        "node info": NodeView,
        "record list": Listing,
        "record info": SessionSummary,
        "record replay": ReplayResult,
        "record inject": InjectionResult,
        "record diff": Comparison,
        "record export": ExportReport,
        "record trim": EditReport,
        "record merge": EditReport,
        "record repair": RepairReport,
        "record clean": CleanReport,
        "daemon status": DaemonStatus,
        "ps": list[GraphInfo],
        "blackbox list": Blackboxes,
    }


def page() -> str:
    """The page."""
    from horus_cli.main import command

    commands = list(walk(command, click.Context(command, info_name="horus")))
    parts = [HEAD, contents(commands)]
    parts += [described(each, ctx) for each, ctx in commands]
    parts += [JSON_HEAD, *(schemas())]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def walk(group: click.Command, ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """All commands below `group`, in the order of its help."""
    assert isinstance(group, click.Group)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None, name
        inner = click.Context(found, info_name=name, parent=ctx)
        yield found, inner
        if isinstance(found, click.Group):
            yield from walk(found, inner)


def contents(commands: list[tuple[click.Command, click.Context]]) -> str:
    """The list of commands, with a line for each."""
    rows = [
        f"| [`{ctx.command_path}`](#{anchor(ctx.command_path)}) | {line_of(ctx)} |"
        for each, ctx in commands
        if not isinstance(each, click.Group)
    ]
    return "\n".join(["| command | |", "|---|---|", *rows])


def anchor(heading: str) -> str:
    """The link to a heading, as GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def line_of(ctx: click.Context) -> str:
    """What the help of its group says of a command."""
    assert ctx.parent is not None
    above = ctx.parent
    module = "horus_cli.main" if above.parent is None else f"horus_cli.commands.{above.info_name}"
    return str(importlib.import_module(module).COMMANDS[ctx.info_name])


def help_of(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def described(command: click.Command, ctx: click.Context) -> str:
    """One command: its help, its usage and its options."""
    depth = "##" if ctx.parent is not None and ctx.parent.parent is None else "###"
    text = f"{depth} {ctx.command_path}\n\n" + "\n\n".join(paragraphs(help_of(command)))
    if isinstance(command, click.Group):
        return text
    usage = " ".join([ctx.command_path, *pieces(command)])
    text += f"\n\n```\n{usage}\n```\n"
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    if options:
        rows = [f"| {names(option)} | {meaning(option)} |" for option in options]
        text += "\n" + "\n".join(["| option | |", "|---|---|", *rows]) + "\n"
    return text


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; one that click leaves as it is becomes a block."""
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        yield "\n".join(["```", *lines[1:], "```"]) if lines[:1] == ["\b"] else paragraph


def pieces(command: click.Command) -> Iterator[str]:
    """What may stand behind the command's name."""
    if any(isinstance(each, click.Option) for each in command.params):
        yield "[OPTIONS]"
    for each in command.params:
        if isinstance(each, click.Argument):
            name = each.metavar or (
                "|".join(each.type.choices) if isinstance(each.type, click.Choice) else each.name.upper()
            )
            name += "..." if each.nargs == -1 else ""
            yield name if each.required else f"[{name}]"
    if type(command).__name__ == "ScriptCommand":
        yield "[-- ARGS...]"


def names(option: click.Option) -> str:
    """An option's names and what follows them."""
    spelt = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return spelt
    if isinstance(option.type, click.Choice):
        return f"{spelt} {', '.join(f'`{each}`' for each in option.type.choices)}"
    return f"{spelt} `{option.metavar or 'N'}`"


def meaning(option: click.Option) -> str:
    text = " ".join((option.help or "").split()).replace("|", "\\|")
    text += " Required." if option.required else ""
    return f"{text} Default: {option.default}." if option.show_default and option.default is not None else text


def schemas() -> Iterator[str]:
    """The table of commands with their types, then the types."""
    types = outputs()
    rows = [f"| `horus {name} --json` | {shown(kind)} |" for name, kind in types.items()]
    yield "\n".join(["| command | prints |", "|---|---|", *rows])
    waiting = [struct for kind in types.values() for struct in structs_in(kind)]
    done: list[type] = []
    while waiting:
        struct = waiting.pop(0)
        if struct not in done:
            done.append(struct)
            waiting += [inner for hint in get_type_hints(struct).values() for inner in structs_in(hint)]
    assert len({struct.__name__ for struct in done}) == len(done), "two types of one name would have one heading"
    for struct in done:
        yield described_type(struct)


def structs_in(kind: Any) -> list[type]:
    """The structs that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [found for inner in get_args(kind) for found in structs_in(inner)]


def described_type(struct: type) -> str:
    """One struct: its fields, their types, and what its docstring says of them."""
    text = inspect.cleandoc(struct.__doc__ or "")
    head, _, rest = text.partition("Attributes:\n")
    said = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + rest):
        labels, colon, meant = entry.strip().partition(": ")
        if colon:
            said.update({label.strip(): " ".join(meant.split()) for label in labels.split(",")})
    rows = [
        f"| `{name}` | {shown(hint)} | {said.get(name, '').replace('|', chr(92) + '|')} |"
        for name, hint in get_type_hints(struct).items()
        if name in struct.__struct_fields__  # type: ignore[attr-defined]
    ]
    return "\n".join(
        [f"### {struct.__name__}", "", " ".join(head.split()), "", "| field | type | |", "|---|---|---|", *rows]
    )


def shown(kind: Any) -> str:
    """A type as JSON has it."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    inner = get_args(kind)
    if get_origin(kind) in (list, tuple, set, frozenset):
        return f"list of {shown(inner[0])}"
    if get_origin(kind) is dict:
        return f"object of {shown(inner[1])}"
    if inner:
        return " or ".join("null" if each is type(None) else shown(each) for each in inner)
    return {bool: "boolean", int: "integer", float: "number", str: "text"}.get(kind, "any value")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
