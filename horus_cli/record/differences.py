"""Shows a comparison of two sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from horus_cli import show
from horus_cli.tables import Column, table

if TYPE_CHECKING:
    from horus_core.recording.compare import Comparison, TopicComparison


def show_comparison(found: Comparison, a: str, b: str, everything: bool) -> None:
    """The answer in one line, then what differs; `everything` shows the rest too."""
    show.say(answer(found))
    show_ticks(found, a, b)
    show_topics(found, a, b, everything)
    if everything:
        show.say()
        show_timing(found, a, b)
    show_settings(found)


def answer(found: Comparison) -> str:
    """Whether two sessions are equal, and if not, from when on."""
    topics, differing = len(found.topics), sum(not topic.equal for topic in found.topics)
    if found.equal:
        messages = sum(topic.messages_a for topic in found.topics)
        return f"equal: {count(messages, 'message')} on {count(topics, 'topic')}"
    since = "" if found.first_tick is None else f" from tick {found.first_tick} on"
    return f"different{since}" + (f": {differing} of {count(topics, 'topic')}" if differing else "")


def show_topics(found: Comparison, a: str, b: str, everything: bool = True) -> None:
    """A row per topic, then a row per field that differs; `a` and `b` are what the two sessions are called."""
    rows = [
        (each.topic, each.node, each.messages_a, each.messages_b, verdict(each, a, b))
        for each in found.topics
        if everything or not each.equal
    ]
    if rows:
        columns = [Column("topic", 10), Column("node", 6), Column(f">{a}", 8), Column(f">{b}", 7)]
        table([*columns, Column("content", 9, folds=True)], rows)
    fields = [
        (
            topic.topic,
            field.where if field.what != "undecodable" else "(does not decode)",
            field.first_tick,
            value_of(field.a, field.what, "b"),
            value_of(field.b, field.what, "a"),
            field.ticks,
            "" if field.largest is None else f"{field.largest:g} in tick {field.largest_tick}",
        )
        for topic in found.topics
        for field in topic.fields
    ]
    if fields:
        show.say()
        columns = [Column("topic", 10), Column("field", 9), Column(">first tick", 8)]
        columns += [Column(a, 7, folds=True), Column(b, 6, folds=True), Column(">ticks", 4)]
        table([*columns, Column("largest difference", 5, folds=True)], fields)
    show_not_compared(found)
    for topic in found.topics:
        if topic.more_fields:
            show.say(f"{topic.topic}: {topic.more_fields} further fields differ (--limit shows more)")


def verdict(topic: TopicComparison, a: str, b: str) -> str:
    """How the messages of a topic compare, in words."""
    if topic.equal:
        return "equal" if topic.messages_a else "no messages"
    words = f"differs from tick {topic.first_tick}, in {count(topic.ticks, 'tick')}"
    alone = [f"{found} only in {name}" for found, name in ((topic.only_a, a), (topic.only_b, b)) if found]
    return ", ".join([words, *alone])


def value_of(value: Any, what: str, missing_in: str) -> str:
    """One side's value; ``-`` where it has none."""
    if what == f"only in {missing_in}":
        return "-"
    return value if isinstance(value, str) and what != "value" else show.value(value)


def show_ticks(found: Comparison, a: str, b: str) -> None:
    """Nodes and ticks that only one side has."""
    for name, nodes in ((a, found.nodes_only_a), (b, found.nodes_only_b)):
        if nodes:
            show.say(f"only in {name}: {', '.join(f'node {show.one_line(node)}' for node in nodes)}")
    for each in found.ticks:
        alone = [
            f"{count(ticks, 'tick')} only in {name}" for ticks, name in ((each.only_a, a), (each.only_b, b)) if ticks
        ]
        if alone:
            show.say(
                f"node {show.one_line(each.node)} ran in {' and '.join(alone)}, the first of them {each.first_tick}"
            )


def show_not_compared(found: Comparison) -> None:
    """Topics that one of the two was told not to record."""
    if found.not_compared:
        show.say(f"not recorded, so not compared: {', '.join(map(show.one_line, found.not_compared))}")


def show_timing(found: Comparison, a: str, b: str) -> None:
    """How long nodes took."""
    rows = [
        (each.node, *(_pair(value) for value in (each.p50, each.p99, each.largest)), each.status_differs or "")
        for each in found.timing
    ]
    if rows:
        columns = [Column("node", 10), Column("median", 9), Column("99 %", 8), Column("longest", 6)]
        columns.append(Column(">late or failed in one only", 7))
        table(columns, rows, title=f"Time per tick, {show.one_line(a)} / {show.one_line(b)} (not a difference)")


def show_settings(found: Comparison) -> None:
    """Settings that are not the same."""
    for setting in found.settings:
        where = f"node {show.one_line(setting.node)}" if setting.node else "graph"
        values = f"{show.value(_plain(setting.a))} / {show.value(_plain(setting.b))}"
        show.say(f"{where}: {setting.setting} is {values}")


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def show_damage(found: Comparison) -> None:
    """What could not be read, and what is missing, on stderr."""
    for line in (*found.damage_a, *found.damage_b):
        show.complain(show.one_line(line))
    for name, losses in ((found.a, found.lost_a), (found.b, found.lost_b)):
        for loss in losses:
            show.complain(show.one_line(f"{name or 'the run'}: {loss}"))


def count(number: int, noun: str) -> str:
    """``1 tick``, ``2 ticks``.

    >>> count(1, "tick"), count(12000, "tick")
    ('1 tick', '12,000 ticks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _pair(values: tuple[int, int]) -> str:
    return " / ".join(show.duration(value / 1e9) for value in values)
