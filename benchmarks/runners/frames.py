"""Frames of 1080p recorded as fast as the disk takes them: bytes per second from the first tick to the closed files."""

from __future__ import annotations

import os
import time
from pathlib import Path

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
    warm_up(Path(os.environ["HORUS_RECORDINGS"]), frames * size)
    scheduler.add(Node(name="viewer", tick=lambda node: node.recv("frame", copy=False), rate=100, subs=["frame"]))
    scheduler.run(duration=frames / 100)
    took = time.monotonic_ns() - notes.read("start")  # type: ignore[operator]
    paths = scheduler.stop_recording()
    written = sum(os.path.getsize(path) for path in paths if "camera@" in path)
    assert written >= frames * size, (written, frames * size)
    report([frames * size / took * 1e9])


def warm_up(folder: Path, size: int) -> None:
    """Writes and removes a file of `size` bytes, so that the kernel has the memory at hand; peers/plain_frames.py too."""
    piece = bytes(1 << 20)
    with open(folder / "warm", "wb") as file:
        for _ in range(size >> 20):
            file.write(piece)
    os.unlink(folder / "warm")


if __name__ == "__main__":
    main()
