"""``horus log``."""

from __future__ import annotations

from pathlib import Path

import click

from horus_cli import show
from horus_cli.arguments import complete_logged, complete_sessions, graph_option
from horus_cli.daemons import print_log


@click.command("log")
@click.argument("node", shell_complete=complete_logged)
@click.option("--follow", "-f", is_flag=True, help="Print what comes, until Ctrl-C or the end of the graph.")
@click.option("--lines", "-n", type=click.IntRange(min=0), metavar="N", help="The last N lines only.")
@click.option(
    "--session", "-s", metavar="NAME", shell_complete=complete_sessions, help="The log in a recorded session."
)
@graph_option
def command(node: str, follow: bool, lines: int | None, session: str | None, graph: str | None) -> None:
    """Show what NODE printed and logged, in the graph that runs; if none does, in the last run that had such a node.

    A recorded graph logs into its session, another one into $XDG_STATE_HOME/horus/logs (or ~/.local/state/horus/logs), where
    the last 20 graphs are kept. If there is no such node, NODE may be a graph of the daemon, or 'horusd': its log is shown
    then, as by 'horus logs' and 'horus daemon logs'.
    """
    from horus_core.errors import NotRunning, UnknownNode

    if session is not None and (graph is not None or follow):
        raise click.UsageError("--session is for a graph that has ended, without --graph and --follow")
    try:
        _show(node, follow, lines, session, graph)
    except (NotRunning, UnknownNode):
        path = _of_the_daemon(node) if session is None and graph is None else None
        if path is None:
            raise
        print_log(path, 50 if lines is None else lines, follow)


def _of_the_daemon(name: str) -> Path | None:
    """The log of a graph of the daemon, or its own; None if there is none."""
    from horus_daemon.places import find_places

    places = find_places()
    path = places.graph_log(name)
    return path if path.parent == places.logs and path.is_file() else None


def _show(node: str, follow: bool, lines: int | None, session: str | None, graph: str | None) -> None:
    """Shows the log of a node."""
    from horus_core.execution.logs import find_log, last_lines
    from horus_core.execution.logs import follow as followed
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.running_graphs import running_graphs
    from horus_core.inspection.topic import find_graph
    from horus_core.recording.keeping.sessions import find_session

    if session is not None:
        path, goes_on = find_log(node, find_session(session).folder / "logs"), None
    elif follow or graph is not None or running_graphs():
        running = find_graph(graph)
        path, goes_on = find_log(node, running.logs), Observer(running)
    else:
        path, goes_on = find_log(node), None
        show.complain(f"no graph runs; this is {path}")
    if follow and goes_on is not None:
        for line in followed(path, 10 if lines is None else lines, lambda: goes_on.alive):
            show.say(line)
    else:
        for line in last_lines(path, lines):
            show.say(line)
