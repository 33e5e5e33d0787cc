"""The same bytes written to the same disk without anything else: ``write``, and ``fdatasync`` every second and at the end."""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import pingpong

FLUSHED_EVERY = 1.0  # seconds, as the recorder does


def warm_up(path: str, size: int) -> None:
    """Writes and removes a file of `size` bytes, so that the kernel has the memory at hand; runners/frames.py too."""
    piece = bytes(1 << 20)
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(piece)
    os.unlink(path)


def main() -> None:
    """Prints bytes per second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", type=int, default=1920 * 1080 * 3)
    asked = parser.parse_args()
    frame = os.urandom(asked.size)
    path = os.path.join(tempfile.gettempdir(), "frames")
    warm_up(path, asked.frames * asked.size)
    start = synced = time.monotonic()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    for _ in range(asked.frames):
        left = memoryview(frame)
        while left:
            left = left[os.write(descriptor, left) :]
        if time.monotonic() - synced >= FLUSHED_EVERY:
            os.fdatasync(descriptor)
            synced = time.monotonic()
    os.fsync(descriptor)
    os.close(descriptor)
    took = time.monotonic() - start
    os.unlink(path)
    pingpong.report([asked.frames * asked.size / took])


main()
