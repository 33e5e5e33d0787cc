"""``horus topic bw``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import duration_option, graph_option, json_option, positive, topic_argument
from horus_cli.topic import measuring


@click.command("bw")
@topic_argument
@graph_option
@click.option(
    "--window",
    type=float,
    default=5.0,
    show_default=True,
    metavar="S",
    callback=positive("seconds"),
    help="Measure over the last S seconds.",
)
@duration_option
@json_option("Print JSON once, at the end; without --duration after one window.")
def command(topic: str, graph: str | None, window: float, duration: float | None, as_json: bool) -> None:
    """Measure how many bytes come on TOPIC: per second, and per message.

    A line a second, until Ctrl-C or the end of the graph. Payloads are not read for it.
    """
    for measure in measuring.measures(topic, graph, window, duration, as_json):
        if measure.bytes_per_second is None:
            show.say("no messages" if not measure.messages else "one message")
            continue
        show.say(
            f"{show.size(measure.bytes_per_second)}/s   a message: mean {show.size(measure.size_mean or 0)}, "
            f"min {show.size(measure.size_min or 0)}, max {show.size(measure.size_max or 0)}   "
            f"({measure.messages} messages)"
        )
