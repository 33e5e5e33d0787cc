"""``horus record replay``: plays a session back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.options import (
    names_option,
    override_option,
    range_options,
    record_options,
    session_argument,
    speed_option,
    split_override,
    topics_option,
)

if TYPE_CHECKING:
    from horus_core.recording.reading.reader import Session
    from horus_core.replay.playback import Sent


class ReplayResult(msgspec.Struct, frozen=True):
    """What was replayed, in how many seconds, and the session it was recorded as ('' if it was not)."""

    session: str
    first_tick: int
    last_tick: int
    ticks: int
    seconds: float
    recorded_as: str


@click.command("replay")
@session_argument()
@speed_option
@range_options("Replay")
@click.option("--loop", is_flag=True, help="Start over when the recording ends, until you stop it.")
@override_option
@topics_option("Replay these topics only.")
@names_option("--echo", "topic", "TOPIC", "Print the values on TOPIC, with their ticks.")
@record_options("the replay")
@json_option()
def command(
    session: str,
    speed: float | None,
    start_tick: int | None,
    stop_tick: int | None,
    loop: bool,
    overrides: tuple[str, ...],
    topics: list[str] | None,
    echo: list[str] | None,
    record: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Play SESSION back: every recorded node sends again what it sent, tick for tick.

    At a terminal, space pauses, the right arrow steps a tick, up and down change the speed, and q ends. Other programs see
    the topics of a replay as they see those of any graph: horus topic echo, horus.Topic(...).

    \b
    horus record replay monday --speed 0.5 --start-tick 100
    horus record replay monday --topics 'camera/*' --echo odom
    """
    from horus_cli.record.player import Player
    from horus_core.recording.format.patterns import expanded
    from horus_core.recording.keeping.sessions import find_session
    from horus_core.replay.source import check_range
    from horus_core.scheduler.launch import Launch, launched
    from horus_core.scheduler.scheduler import Scheduler

    found = find_session(session)
    scheduler = Scheduler.replay_from(found.folder, name=found.name)
    if start_tick is not None:
        scheduler.start_at_tick(start_tick)
    if stop_tick is not None:
        scheduler.stop_at_tick(stop_tick)
    if speed is not None:
        scheduler.set_replay_speed(speed)
    if topics is not None:
        scheduler.set_replay_topics(expanded(topics, (lane.topic for lane in found.graph.lanes)))
    replaced = {}
    for text in overrides:
        node, topic, value = split_override(found, text)
        scheduler.set_replay_override(node, topic, value)
        replaced[node, topic] = value
    scheduler.set_replay_loop(loop)
    first, last = check_range(found, start_tick, stop_tick)
    remark(found, last)
    values = None
    if echo:
        from horus_core.replay.playback import playback

        values = rounds(lambda: playback(found, echo, first, last, [], replaced), last - first + 1 if loop else None)
    player = Player(found.name, first, found.graph.tick_rate, 1.0 if speed is None else speed, values, quiet=as_json)
    launch = Launch(record=record, overwrite=overwrite, output=player.print, started=player.started, ended=player.ended)
    with player, launched(launch):
        scheduler.run()
    files = scheduler.stop_recording() if scheduler.is_recording() else []
    ticks = scheduler.current_tick() - first
    told = ReplayResult(found.name, first, first + ticks - 1, ticks, player.seconds, record_name(files))
    if as_json and not echo:
        show.as_json(told)
        return
    what = f"ticks {first} to {told.last_tick}" if ticks else "no tick"
    kept = f"; recorded as {told.recorded_as}" if files else ""
    show.say(f"replayed {found.name}: {what} in {show.duration(told.seconds)}{kept}", err=bool(echo))


def remark(session: Session, last_tick: int) -> None:
    """Says what a person should know who replays `session` up to `last_tick`."""
    from horus_core.recording.reading.counting import losses_of

    silent = sorted({show.one_line(topic) for _, topic in session.left_out})
    if silent:
        show.complain(f"{session.name} was recorded without {', '.join(silent)}: nothing is sent there")
    if session.state == "running":
        show.complain(f"{session.name} is still being recorded; it is replayed up to tick {last_tick}")
    elif session.state == "recovered":
        show.complain(f"{session.name} was not closed; it is replayed up to where it reads, tick {last_tick}")
    for loss in losses_of(session):
        show.complain(show.one_line(f"{session.name}: {loss}"))


def record_name(files: list[str]) -> str:
    """The session that `files` are of, '' if there are none."""
    from pathlib import Path

    return Path(files[0]).parent.name if files else ""


def rounds(play: Callable[[], Iterator[Sent]], ticks: int | None) -> Iterator[Sent]:
    """What `play` gives; with `ticks`, over and over, each time that many ticks later."""
    shift, any_sent = 0, True
    while any_sent:
        any_sent = False
        for sent in play():
            any_sent = ticks is not None
            yield sent._replace(tick=sent.tick + shift)
        shift += ticks or 0
