"""What the commands that talk to the daemon share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from horus_cli import show

if TYPE_CHECKING:
    from horus_daemon.client import Client
    from horus_daemon.daemon_to_client import GraphInfo

Command = TypeVar("Command", bound=Callable[..., Any])
_POLL_SECONDS = 0.1


def system_option(command: Command) -> Command:
    """``--system`` and ``--user``."""
    return click.option(
        "--system/--user", "system", default=None, help="The system's daemon, or yours; found if not given."
    )(command)


def name_argument(command: Command) -> Command:
    """The argument NAME of a graph."""
    return click.argument("name", shell_complete=complete_owned)(command)


def complete_owned(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the daemon's graphs."""
    from horus_core.errors import HorusError

    try:
        with connected(ctx.params.get("system"), timeout=0.5) as daemon:
            return [name for name in daemon.status().graphs if name.startswith(incomplete)]
    except (HorusError, OSError):
        return []


@contextmanager
def connected(system: bool | None, timeout: float = 5.0) -> Iterator[Client]:
    """A client of the daemon that is meant."""
    from horus_daemon.client import Client
    from horus_daemon.places import find_places

    with Client(find_places(system), timeout) as client:
        yield client


def started(daemon: Client, graph: GraphInfo, no_wait: bool = False) -> int:
    """Waits until a graph that was asked to start runs, and says so. Returns the exit code."""
    from horus_daemon.errors import GraphFailed

    if no_wait:
        show.say(f"graph {graph.name} is {graph.state}")
        return 0
    try:
        graph = daemon.wait_for(graph.name)
    except GraphFailed as problem:
        show.complain(show.one_line(problem))
        return 1
    show.say(f"graph {graph.name} {'runs, pid ' + str(graph.pid) if graph.pid else 'has run'}; its log: {graph.log}")
    return 0


def print_log(path: Path, lines: int, follow: bool, node: str | None = None) -> None:
    """Prints the end of a log, and with `follow` what is added, until Ctrl-C."""
    from horus_daemon.tail import Tail, last_lines, node_of

    if not path.exists() and not follow:
        raise click.UsageError(f"there is no log {path}")
    tail = Tail(path) if follow else None
    for line in last_lines(path, lines, node):
        show.say(show.one_line(line))
    while tail is not None:
        for line in tail.lines():
            if node is None or node_of(line)[0] == node:
                show.say(show.one_line(line))
        time.sleep(_POLL_SECONDS)
