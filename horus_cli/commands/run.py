"""``horus run``: runs a script, or the project in this folder."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import duration_option, json_option, positive
from horus_cli.record.options import completer, split_names
from horus_cli.script import ScriptCommand, ending, script_arguments
from horus_cli.tables import wide_option

if TYPE_CHECKING:
    from horus_core.project.manifest import Project


@click.command("run", cls=ScriptCommand)
@click.argument("script", required=False, type=click.Path())
@click.option("--record", metavar="NAME", help="Record the run as session NAME; {date} in it is filled in.")
@click.option("--overwrite", is_flag=True, help="Replace a session of that name.")
@click.option(
    "--topics",
    multiple=True,
    metavar="A,B",
    callback=split_names,
    shell_complete=completer("topic"),
    help="Record these topics only. In a name, * and ? stand for any letters.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="A,B",
    callback=split_names,
    shell_complete=completer("topic"),
    help="Do not record these topics. In a name, * and ? stand for any letters.",
)
@duration_option
@click.option(
    "--rate", type=float, metavar="HZ", callback=positive("Hz"), help="The graph's rate, instead of the script's."
)
@click.option(
    "--lockstep",
    is_flag=True,
    help="Run in virtual time, as fast as it goes: nobody is ever late, and the same inputs give the same outputs.",
)
@click.option("--pace", is_flag=True, help="With --lockstep: at the graph's rate, not faster.")
@click.option("--inline", is_flag=True, help="Run all nodes in one process, for a debugger.")
@click.option("--detach", is_flag=True, help="Have the daemon run it, and return; see 'horus ps' and 'horus logs'.")
@click.option("--name", metavar="NAME", help="With --detach: what the graph is called; the script's name if not given.")
@wide_option
@json_option("Print how the run went as JSON at its end; what nodes and script print goes to stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    script: str | None,
    record: str | None,
    overwrite: bool,
    topics: list[str] | None,
    exclude: list[str] | None,
    duration: float | None,
    rate: float | None,
    lockstep: bool,
    pace: bool,
    inline: bool,
    detach: bool,
    name: str | None,
    as_json: bool,
) -> int:
    """Run SCRIPT, a Python file that builds and runs a graph; or, without SCRIPT, the project in this folder (horus.toml).

    The options hold for the first run of a graph in the script. While it runs, a line shows how it goes; at its end, a
    table shows each node. What stands behind -- is for the script.

    \b
    horus run --record monday --exclude 'camera/*' main.py -- --speed 2.5
    horus run --lockstep --duration 3600 main.py     an hour of the graph's time, as fast as it goes

    Exit codes: 0; 1 if a node or the script failed; 2 for misuse; 130 after Ctrl-C.
    """
    from horus_cli.running import RunView
    from horus_core.scheduler.launch import Launch
    from horus_core.scheduler.script import run_script

    if detach:
        if inline or as_json:
            raise click.UsageError("--detach goes with neither --inline nor --json")
        if lockstep or topics or exclude:
            raise click.UsageError("--detach goes with none of --lockstep, --topics and --exclude")
        return _detach(ctx, script, name, record, overwrite, duration, rate)
    if name is not None:
        raise click.UsageError("--name goes with --detach")
    if pace and not lockstep:
        raise click.UsageError("--pace goes with --lockstep")
    wanted = _Wanted.of(script, record)
    _refuse_taken(wanted.record, overwrite)
    view = RunView(as_json)
    launch = Launch(
        record=wanted.record,
        overwrite=overwrite,
        record_topics=topics,
        record_exclude=exclude or (),
        duration=duration,
        lockstep=lockstep,
        pace=pace,
        tick_rate=rate or wanted.tick_rate,
        execution="inline" if inline else None,
        nodes=wanted.project.nodes if wanted.project else {},
        output=view.output,
        started=view.started,
        ended=view.ended,
    )
    code, said = 0, ""
    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            run_script(wanted.script, script_arguments(ctx), launch)
    except BaseException as problem:
        code, said = ending(wanted.explained(problem), wanted.script)
    if said:
        show.complain(said)
    elif not code and not launch.used:
        asked = record or overwrite or topics or exclude or duration or rate or lockstep or inline or as_json
        show.complain(
            f"{wanted.script} ran no graph" + (", so there is nothing to apply the options to" if asked else "")
        )
        code = 2 if asked else 0
    if as_json and view.summary is not None:
        from msgspec.structs import replace

        outcome = "interrupted" if code in (130, 143) else "failed" if code else "ended"
        show.as_json(replace(view.summary, outcome=outcome, error=said))
    return code


@dataclass(frozen=True)
class _Wanted:
    """What is to run, from the command line and the project."""

    script: Path
    record: str | None
    tick_rate: float | None = None
    project: Project | None = None

    @classmethod
    def of(cls, script: str | None, record: str | None) -> _Wanted:
        if script is not None and not Path(script).is_dir():
            return cls(Path(script), _filled_in(record))
        from horus_core.project.manifest import read_project, session_of

        project = read_project(script or ".")
        return cls(
            project.script, _filled_in(session_of(project) if record is None else record), project.tick_rate, project
        )

    def explained(self, problem: BaseException) -> BaseException:
        """`problem`, or what is wrong in the project that it comes from."""
        from horus_core.errors import UnknownNode
        from horus_core.project.manifest import unknown_node

        if self.project is not None and isinstance(problem, UnknownNode) and problem.args[1] in self.project.nodes:
            return unknown_node(self.project, problem)
        return problem


def _detach(
    ctx: click.Context,
    script: str | None,
    name: str | None,
    record: str | None,
    overwrite: bool,
    duration: float | None,
    rate: float | None,
) -> int:
    """Has the daemon run it once: it is not started again when it fails, nor when the machine starts."""
    from horus_cli.daemons import connected, started
    from horus_daemon.specs import graph_spec

    spec = graph_spec(
        script or ".",
        name=name,
        arguments=script_arguments(ctx),
        record=_filled_in(record),
        overwrite=overwrite,
        duration=duration,
        tick_rate=rate,
        restart="no",
    )
    _refuse_taken(spec.record, overwrite)
    with connected(None) as daemon:
        return started(daemon, daemon.up(spec))


def _filled_in(name: str | None) -> str | None:
    from horus_core.recording.keeping.sessions import check_name

    return None if name is None else check_name(name)


def _refuse_taken(name: str | None, overwrite: bool) -> None:
    """A name that is taken is refused before the script begins."""
    from horus_core.errors import RecordingExists
    from horus_core.recording.keeping.sessions import recordings_folder

    if name is not None and not overwrite and (recordings_folder() / name).exists():
        raise click.UsageError(f"{RecordingExists(name)}; --overwrite replaces it")
