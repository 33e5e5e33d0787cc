"""``horus node info``."""

from __future__ import annotations

import click

from horus_cli import show
from horus_cli.arguments import graph_option, json_option, node_argument


@click.command("info")
@node_argument
@graph_option
@json_option()
def command(node: str, graph: str | None, as_json: bool) -> None:
    """Say all about NODE of a running graph."""
    from horus_core.inspection.observer import Observer
    from horus_core.inspection.topic import find_graph

    found = Observer(find_graph(graph)).node(node)
    if as_json:
        show.as_json(found)
        return
    show.facts(
        {
            "node": found.name,
            "state": found.state + (" (replayed)" if found.replayed else ""),
            "process": f"{found.pid} on {'no core of its own' if found.core < 0 else f'core {found.core}'}",
            "processor": "-" if found.cpu_percent is None else f"{found.cpu_percent:.1f} % of a core",
            "memory": "-" if found.memory_bytes is None else show.size(found.memory_bytes),
            "rate": f"{show.rate(found.rate_hz)}, held {show.rate(found.rate_held_hz)}",
            "order": found.order,
            "may outlast a tick": "yes (compute=True)" if found.compute else "no",
            "failure policy": found.failure_policy,
            "publishes": ", ".join(found.publishes) or "nothing",
            "subscribes to": ", ".join(found.subscribes) or "nothing",
            "ticks": f"{found.ticks}, the last is {found.last_tick}",
            "busy": f"p50 {_ms(found.busy_p50_ms)}, p99 {_ms(found.busy_p99_ms)}, max {_ms(found.busy_max_ms)}",
            "misses": f"{found.deadline_misses} of the deadline, {found.budget_overruns} of the budget",
            "errors": found.errors,
            "restarts": found.restarts,
            "sent": f"{found.messages_sent} messages, {show.size(found.bytes_sent)}",
            "received": f"{found.messages_received} messages; {found.unread} unread, {found.messages_dropped} dropped",
        }
    )


def _ms(milliseconds: float) -> str:
    return show.duration(milliseconds / 1e3)
