"""``horus topic hz``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import duration_option, graph_option, json_option, positive, topic_argument
from horus_cli.topic import measuring


@click.command("hz")
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
    """Measure how often messages of TOPIC come: rate, and the time between two of them.

    A line a second, until Ctrl-C or the end of the graph.
    """
    for measure in measuring.measures(topic, graph, window, duration, as_json):
        if measure.rate_hz is None:
            show.say("no messages" if not measure.messages else "one message")
            continue
        show.say(
            f"{show.rate(measure.rate_hz)}   between two: mean {_ms(measure.period_mean_ms)}, "
            f"min {_ms(measure.period_min_ms)}, max {_ms(measure.period_max_ms)}, "
            f"deviation {_ms(measure.period_deviation_ms)}   ({measure.messages} messages)"
        )


def _ms(milliseconds: float | None) -> str:
    return show.duration((milliseconds or 0.0) / 1e3)
