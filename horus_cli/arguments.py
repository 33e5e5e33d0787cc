"""Arguments and options that commands share, and how the shell completes them: running graphs, their nodes and topics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from horus_core.inspection.running_graphs import RunningGraph

Command = TypeVar("Command", bound=Callable[..., Any])


# Numbers.


def positive(unit: str) -> Callable[[click.Context, click.Parameter, float | None], float | None]:
    """Checks that an option is a number above 0, and names the option if it is not."""

    def check(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
        if value is None or (value > 0 and math.isfinite(value)):
            return value
        raise click.BadParameter(f"{value:g} is not a number above 0 ({unit})", ctx, param)

    return check


# Names, and their completion.


def complete_graphs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names and ids of the graphs that run."""
    from horus_core.inspection.running_graphs import running_graphs

    return _beginning(incomplete, (name for graph in running_graphs() for name in (graph.name, graph.id)))


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Nodes of the graph that the line names, else of all that run."""
    return _beginning(incomplete, (node.name for graph in _graphs(ctx) for node in graph.nodes))


def complete_topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Topics, as for nodes."""
    return _beginning(incomplete, (lane.topic for graph in _graphs(ctx) for lane in graph.lanes))


def complete_logged(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Nodes that run or have logged."""
    from horus_core.execution.logs import all_folders, logged_nodes

    logged = (name for folder in all_folders() for name in logged_nodes(folder))
    return _beginning(incomplete, (*complete_nodes(ctx, param, incomplete), *logged))


def complete_sessions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Recorded sessions."""
    from horus_core.recording.keeping.sessions import session_names

    return _beginning(incomplete, session_names())


def _graphs(ctx: click.Context) -> list[RunningGraph]:
    from horus_core.inspection.running_graphs import running_graphs

    chosen = ctx.params.get("graph")
    return [graph for graph in running_graphs() if chosen in (None, graph.name, graph.id)]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def graph_option(command: Command) -> Command:
    """``--graph NAME``."""
    return click.option(
        "--graph",
        "-g",
        metavar="NAME",
        is_eager=True,
        shell_complete=complete_graphs,
        help="The graph's name or id; not needed if only one runs.",
    )(command)


def node_argument(command: Command) -> Command:
    """The argument NODE."""
    return click.argument("node", shell_complete=complete_nodes)(command)


def topic_argument(command: Command) -> Command:
    """The argument TOPIC."""
    return click.argument("topic", shell_complete=complete_topics)(command)


def json_option(help: str = "Print JSON, for programs.") -> Callable[[Command], Command]:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def duration_option(command: Command) -> Command:
    """``--duration S``."""
    return click.option(
        "--duration", type=float, metavar="S", callback=positive("seconds"), help="End after so many seconds."
    )(command)


def value_of(text: str, what: str = "VALUE") -> Any:
    """The value that an argument means: JSON, ``hex:BYTES``, or ``@FILE`` (its bytes; a ``.json`` file is read).

    Raises:
        click.UsageError: it is none of these.
    """
    import json
    from pathlib import Path

    if text.startswith("hex:"):
        try:
            return bytes.fromhex(text[4:])
        except ValueError:
            raise click.UsageError(f"{what} is {text!r}; expected an even number of hexadecimal digits") from None
    file = Path(text[1:]).expanduser() if text.startswith("@") else None
    if file is not None and file.suffix != ".json":
        return file.read_bytes()
    try:
        return json.loads(text if file is None else file.read_bytes())
    except ValueError as problem:
        expected = """JSON (text in quotes: '"on"'), hex:BYTES or @FILE"""
        raise click.UsageError(f"{what} is {text!r} ({problem}); expected {expected}") from None


def while_alive(alive: Callable[[], bool], seconds: float | None, poll: float = 0.005) -> Iterator[None]:
    """Yields again and again, with a pause between, until `seconds` are over, and once more after `alive()` has ended."""
    import time

    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        running = alive()
        yield
        if not running or (deadline is not None and time.monotonic() >= deadline):
            return
        time.sleep(poll)
