"""``horus topic info``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option, topic_argument


@click.command("info")
@topic_argument
@graph_option
@json_option()
def command(topic: str, graph: str | None, as_json: bool) -> None:
    """Say who publishes and who subscribes to TOPIC, its type, and what has gone over it."""
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import find_graph

    found = Observer(find_graph(graph)).topic(topic)
    if as_json:
        show.as_json(found)
        return
    show.facts(
        {
            "topic": found.name,
            "type": found.type or "any",
            "publishers": ", ".join(found.publishers) or "none",
            "subscribers": ", ".join(found.subscribers) or "none",
            "messages": f"{found.messages} ({found.external} from outside)",
            "rate": show.rate(found.rate_hz),
            "lost": f"{found.lost} (pushed out before every subscriber had them)",
            "capacity": f"{found.capacity} messages that a subscriber may be behind",
        }
    )
