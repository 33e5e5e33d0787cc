"""Arguments and options that several commands take, and how the shell completes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from horus_cli.arguments import complete_sessions, value_of
from horus_core.errors import HorusError, InvalidValue, UnknownNode, UnknownTopic

if TYPE_CHECKING:
    from horus_core.recording.reading.reader import Session

Command = TypeVar("Command", bound=Callable[..., Any])
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def session_argument(name: str = "session", **settings: Any) -> Callable[[Command], Command]:
    """The argument SESSION."""
    return click.argument(name, shell_complete=complete_sessions, **settings)


def names_option(flag: str, kind: str, metavar: str, help: str) -> Callable[[Command], Command]:
    """An option with names of recorded nodes or topics (`kind`), or patterns: with commas between, or several times.

    The command gets a list, None if the option is not given.
    """
    help = f"{help} In a name, * and ? stand for any letters."
    return click.option(
        flag, multiple=True, metavar=metavar, help=help, callback=split_names, shell_complete=completer(kind)
    )


def split_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str] | None:
    """All names in `value`."""
    names = [name for text in value for name in text.split(",") if name]
    if value and not names:
        raise click.BadParameter("there is no name in it", ctx, param)
    return names or None


def nodes_option(help: str) -> Callable[[Command], Command]:
    """``--nodes A,B``."""
    return names_option("--nodes", "node", "A,B", help)


def topics_option(help: str) -> Callable[[Command], Command]:
    """``--topics A,B``."""
    return names_option("--topics", "topic", "A,B", help)


def completer(kind: str) -> Completer:
    """Completes names of nodes or topics of the sessions that the line names already: the last one after a comma."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        typed, comma, last = incomplete.rpartition(",")
        found = dict.fromkeys(name for session in _sessions_of(ctx) for name in _names_in(session, kind))
        return [f"{typed}{comma}{name}" for name in found if name.startswith(last)]

    return complete


def _sessions_of(ctx: click.Context) -> list[Session]:
    """The sessions among what is on the line already."""
    from horus_core.recording.keeping.sessions import find_session

    named = list(ctx.args)  # where an option still lacks its value, arguments have not been taken from here
    for value in ctx.params.values():
        named += [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    found = []
    for name in named:
        try:
            found.append(find_session(str(name)))
        except (HorusError, OSError):
            continue
    return found


def _names_in(session: Session, kind: str) -> list[str]:
    if kind == "node":
        return list(session.nodes)
    return list(dict.fromkeys(topic.name for node in session.nodes.values() for topic in node.pubs))


def range_options(verb: str) -> Callable[[Command], Command]:
    """``--start-tick`` and ``--stop-tick``."""

    def decorate(command: Command) -> Command:
        tick = click.IntRange(min=0)
        stop = click.option("--stop-tick", type=tick, metavar="N", help=f"{verb} up to this tick, it included.")
        start = click.option("--start-tick", type=tick, metavar="N", help=f"{verb} from this tick on.")
        return start(stop(command))

    return decorate


def record_options(what: str) -> Callable[[Command], Command]:
    """``--record NAME`` and ``--overwrite``."""

    def decorate(command: Command) -> Command:
        overwrite = click.option("--overwrite", is_flag=True, help="Replace a session of that name.")
        help = f"Record {what} as session NAME; {{date}} is filled in."
        return click.option("--record", metavar="NAME", callback=_checked_name, help=help)(overwrite(command))

    return decorate


def _checked_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        from horus_core.recording.keeping.sessions import check_name

        check_name(value)
    return value


def yes_option(command: Command) -> Command:
    """``--yes``."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def speed_option(command: Command) -> Command:
    """``--speed X``."""
    help = "1 as recorded, 0.01 to 100 times that, or 0 for as fast as possible."
    return click.option("--speed", type=float, metavar="X", callback=_checked_speed, help=help)(command)


def _checked_speed(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is None or value == 0 or 0.01 <= value <= 100:
        return value
    raise click.BadParameter("give 0.01 to 100, or 0 for as fast as possible", ctx, param)


def override_option(command: Command) -> Command:
    """``--override NODE.TOPIC=VALUE``, which may be given several times."""
    return click.option(
        "--override",
        "overrides",
        multiple=True,
        metavar="NODE.TOPIC=VALUE",
        help="Send VALUE in the place of what was recorded: JSON, hex:BYTES, or @FILE (the file's bytes; .json is read).",
    )(command)


def split_override(session: Session, text: str, nodes: list[str] | None = None) -> tuple[str, str, Any]:
    """The node, the topic and the value that ``NODE.TOPIC=VALUE`` means.

    Names may hold dots and equals signs: what counts is what `session` recorded.

    Args:
        session: the recorded session.
        text: the option's value.
        nodes: the nodes that are replayed; by default all.

    Raises:
        InvalidValue: it has no such form, or fits the topics of two nodes.
        UnknownNode, UnknownTopic: the recording has no such node, or the node no such topic.
        click.UsageError: the value does not read.
    """
    replayed = session.senders if nodes is None else nodes
    sent = dict.fromkeys((lane.node, lane.topic) for lane in session.graph.lanes if lane.node in replayed)
    found = [(node, topic) for node, topic in sent if text.startswith(f"{node}.{topic}=")]
    if len(found) > 1:
        fits = " and ".join(f"topic {topic!r} of {node!r}" for node, topic in found)
        raise InvalidValue("--override", repr(text), f"one topic, but this fits {fits}")
    if found:
        node, topic = found[0]
        return node, topic, value_of(text[len(node) + len(topic) + 2 :], "the value of --override")
    target, equals, _ = text.partition("=")
    if not equals or "." not in target:
        raise InvalidValue("--override", repr(text), "NODE.TOPIC=VALUE, as in sensor.sensor.reading=1.5")
    node = max((name for name in replayed if target.startswith(f"{name}.")), key=len, default="")
    if not node:
        raise UnknownNode("the replay", target.partition(".")[0], tuple(replayed))
    topics = tuple(topic for sender, topic in sent if sender == node)
    raise UnknownTopic(node, "send", target[len(node) + 1 :], topics)
