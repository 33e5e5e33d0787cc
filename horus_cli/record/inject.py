"""``horus record inject``: live nodes against recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import (
    names_option,
    nodes_option,
    override_option,
    range_options,
    record_options,
    session_argument,
    speed_option,
    split_override,
)
from horus_cli.record.tolerance import Tolerances, tolerance_option
from horus_cli.script import ScriptCommand, script_arguments
from horus_cli.tables import wide_option

if TYPE_CHECKING:
    from horus_core.recording.compare import Comparison
    from horus_core.trials.inject import InjectionResult


@click.command("inject", cls=ScriptCommand)
@session_argument()
@nodes_option("Replay these nodes; the script's others run live.")
@names_option("--all-but", "node", "C", "Run these nodes live, replay all others.")
@click.option(
    "--script",
    metavar="FILE",
    type=click.Path(exists=True),
    help="Whose nodes run live (or a project's folder); by default the script that SESSION was recorded from.",
)
@speed_option
@range_options("Replay")
@click.option(
    "--cold",
    is_flag=True,
    help="With --start-tick: start the live nodes there with nothing behind them, instead of running the ticks before.",
)
@override_option
@record_options("the run")
@click.option("--inline", is_flag=True, help="Run all nodes in one process, for a debugger.")
@tolerance_option
@click.option("--check", is_flag=True, help="End with exit code 1 if a live node sent something else.")
@wide_option
@json_option()
@click.pass_context
def command(
    ctx: click.Context,
    session: str,
    nodes: list[str] | None,
    all_but: list[str] | None,
    script: str | None,
    speed: float | None,
    start_tick: int | None,
    stop_tick: int | None,
    cold: bool,
    overrides: tuple[str, ...],
    record: str | None,
    overwrite: bool,
    inline: bool,
    tolerances: Tolerances,
    check: bool,
    as_json: bool,
) -> int:
    """Replay some nodes of SESSION and run a script's others live in the same graph, on the recorded input.

    In the end it says which topics of the live nodes are equal to what was recorded, and from which tick on the others are
    not. What stands behind -- is for the script.

    \b
    horus record inject monday --nodes 'camera*' --script new.py
    horus record inject monday --all-but planner --inline    a breakpoint() in planner works
    """
    if (nodes is None) == (all_but is None):
        raise click.UsageError("give either --nodes (what is replayed) or --all-but (what runs live)")
    from horus_cli.record.player import Player
    from horus_cli.record.replay import remark
    from horus_core.recording.keeping.sessions import find_session
    from horus_core.replay.source import check_range
    from horus_core.trials.inject import prepare

    found = find_session(session)
    first, last = check_range(found, start_tick, stop_tick)
    fields = tolerances.with_project(Path(script) if script and Path(script).is_dir() else Path(), found)
    injection = prepare(found, nodes, all_but, script, script_arguments(ctx))
    scheduler = injection.scheduler
    scheduler.start_at_tick(first, cold=cold)
    if stop_tick is not None:
        scheduler.stop_at_tick(stop_tick)
    if speed is not None:
        scheduler.set_replay_speed(speed)
    for text in overrides:
        scheduler.set_replay_override(*split_override(found, text, injection.replayed))
    remark(found, last)
    if cold and first > found.held_ticks()[0]:
        show.complain(f"the live nodes start in tick {first} with nothing behind them, as --cold asks")
    for line in injection.remarks():
        show.complain(show.one_line(line))
    player = Player(found.name, first, found.graph.tick_rate, 1.0 if speed is None else speed, quiet=as_json)
    with player:
        result = injection.run(
            record, overwrite, player.print, player.started, player.ended, inline, tolerances.default, fields
        )
    if as_json:
        show.as_json(result)
    else:
        _show(result)
    if result.failure:
        show.complain(result.failure)
    return 1 if result.failure or (check and not result.equal) else 0


def _show(result: InjectionResult) -> None:
    from horus_cli.record import differences

    show.facts(
        {
            "replayed": ", ".join(result.replayed),
            "live": f"{', '.join(result.live)} of {result.script}",
            "ticks": f"{result.first_tick} to {result.last_tick}",
            **({"recorded as": result.recorded_as} if result.recorded_as else {}),
        }
    )
    show.say()
    found = result.comparison
    if found is None:
        show.say("nothing to compare: no live node was recorded")
        return
    differences.show_damage(found)
    differences.show_ticks(found, "recorded", "live")
    differences.show_topics(found, "recorded", "live")
    show.say()
    show.say(_answer(result, found))


def _answer(result: InjectionResult, found: Comparison) -> str:
    if result.equal:
        return "the live nodes sent what was recorded"
    since = "" if found.equal else f"different from tick {found.first_tick} on"
    if not result.failure:
        return since
    rest = f"the run failed in tick {result.last_tick}, and nothing behind that was compared"
    return f"{since}; {rest}" if since else rest
