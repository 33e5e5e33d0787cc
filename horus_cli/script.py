"""A script on the command line: its arguments behind ``--``, and what its end means."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import TracebackType

import click

from horus_cli import show
from horus_core.errors import HorusError, NodeFailed, ScriptFailed, StartFailed

_ARGUMENTS = "horus.script_arguments"
_OURS = Path(__file__).resolve().parent.parent


class ScriptCommand(click.Command):
    """A command that hands what stands behind ``--`` to a script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the script's arguments away first."""
        mine, ctx.meta[_ARGUMENTS] = args, []
        if "--" in args:
            at = args.index("--")
            mine, ctx.meta[_ARGUMENTS] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, mine)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGS...]"]


def script_arguments(ctx: click.Context) -> list[str]:
    """What stood behind ``--``."""
    return list(ctx.meta.get(_ARGUMENTS, ()))


def ending(problem: BaseException, script: str | os.PathLike[str]) -> tuple[int, str]:
    """How a script ended that raised `problem`.

    Returns:
        The exit code, and what to say ('' if everything has been said).
    """
    if isinstance(problem, SystemExit):
        if problem.code is None or isinstance(problem.code, int):
            return problem.code or 0, ""
        return 1, str(problem.code)
    if isinstance(problem, KeyboardInterrupt):
        return 130, ""
    if isinstance(problem, (NodeFailed, StartFailed, ScriptFailed)):
        return 1, str(problem)
    if isinstance(problem, HorusError):
        theirs = isinstance(problem, (ValueError, KeyError, TypeError))  # not the machine's
        return 2, f"{_place(problem.__traceback__) if theirs else ''}{show.one_line(problem)}"
    return 1, _own_traceback(problem, str(Path(script).resolve()))


def _place(trace: TracebackType | None) -> str:
    """The user's line that an error came from, ``"main.py:12: "``; '' if there is none."""
    for frame, line in reversed(list(traceback.walk_tb(trace))):
        path = Path(frame.f_code.co_filename)
        if path.is_file() and not any(
            (_OURS / package) in path.parents for package in ("horus", "horus_core", "horus_cli")
        ):
            return f"{os.path.relpath(path)}:{line}: "
    return ""


def _own_traceback(problem: BaseException, script: str) -> str:
    """The traceback from the script's first frame on, as Python would have printed it."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    shown = "".join(traceback.format_exception(type(problem), problem, trace)).rstrip()
    return f"the script {os.path.relpath(script)} failed\n{shown}"
