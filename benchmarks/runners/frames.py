"""Frames of 1080p recorded as fast as the disk takes them: bytes per second from the first tick to the closed files."""

from __future__ import annotations

import time

import click
import numpy as np

from benchmarks.runners import Notes, report
from horus import Node, Scheduler


@click.command()
@click.option("--frames", default=100)
@click.option("--size", default=1920 * 1080 * 3)
def main(frames: int, size: int) -> None:
    """Prints one sample."""
    notes = Notes()

    def begin(node: Node) -> None:
        frame = np.random.default_rng(1).integers(0, 255, size, dtype=np.uint8)
        node.state = {"frame": frame, "start": 0}

    def send(node: Node) -> None:
        node.state["start"] = node.state["start"] or time.monotonic_ns()
        node.send("frame", node.state["frame"])

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording=True)
    scheduler.add(
        Node(
            name="camera",
            tick=send,
            init=begin,
            shutdown=lambda node: notes.write("start", node.state["start"]),
            rate=100,
            pubs=["frame"],
            default_capacity=8,
        )
    )
    scheduler.add(Node(name="viewer", tick=lambda node: node.recv("frame", copy=False), rate=100, subs=["frame"]))
    scheduler.run(duration=frames / 100)
    took = time.monotonic_ns() - notes.read("start")  # type: ignore[operator]
    paths = scheduler.stop_recording()
    written = sum(_size(path) for path in paths if "camera@" in path)
    assert written >= frames * size, (written, frames * size)
    report([frames * size / took * 1e9])


def _size(path: str) -> int:
    import os

    return os.path.getsize(path)


if __name__ == "__main__":
    main()
