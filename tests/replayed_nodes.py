"""A sensor and a controller in whose output every difference between a run and its replay would show.

Imports as little as a robot's own module, so that the nodes' processes start fast.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import horus
from horus import Node


def sensor_tick(node: Node) -> None:
    k = horus.tick()
    node.send("reading", {"value": math.sin(k / 7), "noise": horus.rng_float()})
    if k % 4 == 0:
        node.send("image", np.full((40, 40), k, dtype=np.int16))
        node.send("image", b"" if k % 8 else b"\xff\x00")


def sensor() -> Node:
    return Node(name="sensor", tick=sensor_tick, pubs=["reading", "image"], rate=100)


class Controller:
    """State, its own clock and its own generator: whatever differs from the recorded run shows in its output."""

    def __init__(self, gain: float = 0.5) -> None:
        self.gain = gain
        self.integral = 0.0

    def tick(self, node: Node) -> None:
        for reading in node.recv_all("reading"):
            self.integral += reading["value"] * horus.dt()
        image = node.latest("image")
        seen = None if image is None else int(np.asarray(bytearray(image) if isinstance(image, bytes) else image).sum())
        node.send(
            "cmd", [self.gain * self.integral, seen, horus.now(), horus.tick(), horus.elapsed(), horus.rng_float()]
        )


def controller(gain: float = 0.5) -> Node:
    return Node(name="controller", tick=Controller(gain).tick, subs=["reading", "image"], pubs="cmd", rate=50)


def probe(node: Node) -> None:
    node.send(
        "seen", [node.recv_all("reading"), node.recv_all("cmd"), horus.timestamp_ns(), horus.tick(), horus.elapsed()]
    )


class Noting:
    """A node's handle that also notes tick and packed value of what is sent."""

    def __init__(self, node: Node, path: Path) -> None:
        self.node, self.path = node, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)

    def send(self, topic: str, value: Any) -> None:
        self.node.send(topic, value)
        with self.path.open("a") as file:
            file.write(json.dumps([horus.tick(), msgspec.msgpack.encode(value).hex()]) + "\n")


def late_sensor(node: Node) -> None:
    node.send("reading", {"value": horus.tick()})
    if horus.tick() in (12, 30):
        time.sleep(0.045)


class LateController(Controller):
    def tick(self, node: Node) -> None:
        if horus.tick() == 20:
            time.sleep(0.035)
        for reading in node.recv_all("reading"):
            self.integral += reading["value"]
        node.send("cmd", [self.integral, horus.tick(), horus.rng_float(), horus.now()])
