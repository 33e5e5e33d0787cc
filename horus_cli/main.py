"""Entry point of ``horus``: the group of all commands, and what becomes of errors.

Exit codes: 0; 1 if a node or the script failed; 2 for misuse; 130 for Ctrl-C (128 and the signal's number).
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from horus_cli import show
from horus_cli.lazy import LazyGroup
from horus_core.errors import closest


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        try:
            version = importlib.metadata.version("horus-supervisor")
        except importlib.metadata.PackageNotFoundError:
            version = "from a source tree"
        show.say(f"horus {version}")
        ctx.exit(0)


COMMANDS = {
    "run": "Run a script or the project in this folder, and record it.",
    "record": "Look at recorded sessions, replay, compare and export them.",
    "topic": "Look at the topics of a running graph, and send on them.",
    "node": "Look at the nodes of a running graph, stop and restart them.",
    "top": "Watch a running graph: nodes, processes and topics.",
    "log": "Show what a node printed and logged.",
    "daemon": "Start, stop and look at the service that owns graphs.",
    "up": "Have the daemon run a script or a project from now on.",
    "down": "End a graph of the daemon.",
    "ps": "List the daemon's graphs.",
    "restart": "End a graph of the daemon and start it.",
    "logs": "Show what a graph of the daemon printed.",
    "new": "Make a project.",
    "check": "Check a project or a script without running its graph, and show the graph.",
    "doctor": "Say what this machine grants, and what to do about what is missing.",
    "blackbox": "Look at flight recorders and save them.",
    "clean": "Remove what dead graphs left in shared memory.",
    "completion": "Print the script that completes commands and names in your shell.",
}

command = LazyGroup(
    "horus",
    package="horus_cli.commands",
    lines=COMMANDS,
    help="Run graphs of nodes, record them, replay them, and look inside while they run.",
    epilog="'horus COMMAND --help' says more about a command.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_version,
            help="Show the version.",
        )
    ],
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command of `arguments` (default: the process's own), and exits."""
    code = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except OSError:
        code = code or _reader_has_gone()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs the command of `arguments`; what goes wrong is one line on stderr.

    Returns:
        The exit code.
    """
    try:
        result: Any = command.main(list(arguments), prog_name="horus", standalone_mode=False)
    except click.UsageError as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":  # click 8.2 and later: a group without a command
            show.say_lines(problem.format_message())
            return 0
        path = problem.ctx.command_path if problem.ctx is not None else "horus"
        said = show.one_line(problem.format_message().rstrip("."))
        show.complain(f"{said}{_nearest(problem)} ('{path} --help' shows how)")
        return 2
    except click.ClickException as problem:
        show.complain(show.one_line(problem.format_message()))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return _reader_has_gone()
    except Exception as problem:
        explained = show.explain(problem)
        if explained is None:
            raise
        text, code = explained
        show.complain(text)
        return code
    return result if isinstance(result, int) else 0


def _nearest(problem: click.UsageError) -> str:
    """For a command that is not there, the one that may be meant."""
    wrong = re.match(r"No such command '(.+)'", problem.format_message())
    if wrong is None or problem.ctx is None or not isinstance(problem.ctx.command, click.Group):
        return ""
    return closest(wrong[1], problem.ctx.command.list_commands(problem.ctx))


def _reader_has_gone() -> int:
    """``horus ... | head``, or a closed terminal: nothing more is written, and Python need not complain at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
