"""``horus topic list``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option
from horus_cli.tables import Column, table, wide_option


@click.command("list")
@graph_option
@wide_option
@json_option()
def command(graph: str | None, as_json: bool) -> None:
    """List the topics of a running graph: types, who publishes, who subscribes, messages so far, and their rate.

    \b
    horus topic list --wide         all columns, in a narrow terminal too
    """
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import find_graph

    topics = Observer(find_graph(graph)).look().topics
    if as_json:
        show.as_json(topics)
        return
    table(
        (
            Column("topic", 10),
            Column("type", 4),
            Column("publishers", 8, folds=True),
            Column("subscribers", 7, folds=True),
            Column(">messages", 6),
            Column(">rate", 9),
        ),
        [
            (
                topic.name,
                topic.type or "any",
                ", ".join(topic.publishers) or "-",
                ", ".join(topic.subscribers) or "-",
                topic.messages,
                show.rate(topic.rate_hz),
            )
            for topic in topics
        ],
    )
