"""The work of the reference graph: a sensor's wave with spikes, and a controller with an integral that is clamped.

Plain functions of a state and a ``send``, so that the prototype without a framework does the very same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Send = Callable[[dict[str, Any]], object]


def sense(state: dict[str, Any], send: Send) -> None:
    """One tick of the sensor."""
    t = state["tick"] * 0.01
    spike = 5.0 if state["tick"] % 73 == 0 else 0.0
    send({"value": math.sin(t * 2.0) * 10.0 + spike, "tick": state["tick"]})
    state["tick"] += 1


def control(state: dict[str, Any], reading: dict[str, Any], dt: float, send: Send) -> None:
    """One tick of the controller."""
    error = 0.0 - reading["value"]
    state["integral"] = max(-10.0, min(10.0, state["integral"] + error * dt))
    send({"output": 0.5 * error + 0.1 * state["integral"], "integral": state["integral"]})
