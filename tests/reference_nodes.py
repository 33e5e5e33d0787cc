"""The reference job's callbacks. Imports nothing but horus, so that the nodes' processes start fast."""

from __future__ import annotations

import math

import horus
from horus import Node


def sensor_init(node: Node) -> None:
    node.state = {"tick": 0}


def sensor_tick(node: Node) -> None:
    t = node.state["tick"] * 0.01
    spike = 5.0 if node.state["tick"] % 73 == 0 else 0.0
    value = math.sin(t * 2.0) * 10.0 + spike
    node.send("sensor.reading", {"value": value, "tick": node.state["tick"]})
    node.state["tick"] += 1


def ctrl_init(node: Node) -> None:
    node.state = {"integral": 0.0, "setpoint": 0.0}


def ctrl_tick(node: Node) -> None:
    data = node.recv("sensor.reading")
    if data is None:
        return
    error = node.state["setpoint"] - data["value"]
    dt = horus.dt()
    node.state["integral"] = max(-10.0, min(10.0, node.state["integral"] + error * dt))
    output = 0.5 * error + 0.1 * node.state["integral"]
    node.send("ctrl.cmd", {"output": output, "integral": node.state["integral"]})
