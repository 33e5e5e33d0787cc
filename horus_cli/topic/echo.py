"""``horus topic echo``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import duration_option, graph_option, json_option, topic_argument, while_alive


@click.command("echo")
@topic_argument
@graph_option
@click.option("--count", "-n", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@duration_option
@click.option("--latest", is_flag=True, help="Begin with the last message that there is.")
@click.option("--full", is_flag=True, help="Show all digits of numbers, and large arrays and byte strings whole.")
@json_option("Print a line of JSON per message, with all digits.")
def command(
    topic: str, graph: str | None, count: int | None, duration: float | None, latest: bool, full: bool, as_json: bool
) -> None:
    """Print the messages of TOPIC as they come, until Ctrl-C or the end of the graph.

    A line is: tick, node, value. Numbers are shown with six digits, or three behind the point; of large arrays and byte
    strings only type and size are shown. --full and --json have all of it.

    \b
    horus topic echo scan               every message
    horus topic echo scan -n 1 --full   the next one, with all digits
    """
    from msgspec.structs import replace

    from horus_core.inspection.tap import Tap
    from horus_core.inspection.topic import find_graph

    tap = Tap(find_graph(graph), topic, latest)
    left = count
    for _ in while_alive(lambda: tap.alive, duration):
        for message in tap.messages()[:left]:
            if as_json:
                show.as_json_line(replace(message, value=show.plain(message.value)))
            else:
                show.say(
                    f"{message.tick}  {message.node}  {show.value(message.value, readable=not full, short=not full)}"
                )
            left = None if left is None else left - 1
        if left == 0:
            break
    if tap.missed:
        show.complain(f"{tap.missed} messages came too fast to be shown")
