"""What ``hz`` and ``bw`` share: they look once a second, and print one or the other of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from horus_cli import show
from horus_cli.arguments import while_alive

if TYPE_CHECKING:
    from horus_core.inspection.tap import Measure

_EVERY_SECONDS = 1.0


def measures(topic: str, graph: str | None, window: float, duration: float | None, as_json: bool) -> Iterator[Measure]:
    """A measure of the last `window` seconds, each second; with `as_json` none, but the last is printed as JSON."""
    from horus_core.inspection.tap import Flow, Tap
    from horus_core.inspection.topic import find_graph

    tap, flow = Tap(find_graph(graph), topic), Flow(window)
    due = time.monotonic() + _EVERY_SECONDS
    for _ in while_alive(lambda: tap.alive, duration or (window if as_json else None), poll=0.02):
        flow.add(tap.sizes())
        if time.monotonic() >= due:
            due += _EVERY_SECONDS
            if not as_json:
                yield flow.measured()
    if as_json:
        show.as_json(flow.measured())
