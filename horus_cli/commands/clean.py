"""``horus clean``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import json_option


@click.command("clean")
@click.option("--shm", is_flag=True, help="Shared memory and semaphores in /dev/shm.")
@json_option()
def command(shm: bool, as_json: bool) -> None:
    """Remove what dead graphs left, and only that: a running graph's memory is never touched.

    A graph removes all of its own when it ends; one that was killed together with its recorder cannot. The next graph that
    starts does the same as this command. For recordings there is 'horus record clean'.
    """
    from horus_core.memory.shared import sweep

    if not shm:
        raise click.UsageError("say what to clean: --shm (for recordings there is 'horus record clean')")
    swept = sweep()
    if as_json:
        show.as_json({"swept": swept})
    elif swept:
        show.say(f"removed what {len(swept)} dead {'graph' if len(swept) == 1 else 'graphs'} left: {', '.join(swept)}")
    else:
        show.say("nothing to remove")
