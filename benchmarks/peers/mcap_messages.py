"""The ``mcap`` package's writer, without compression, on the same small messages: per second of processor time."""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import pingpong


def main() -> None:
    """Prints messages per second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100_000)
    asked = parser.parse_args()
    try:
        import importlib.metadata

        import msgspec
        from mcap.writer import CompressionType, Writer
    except ImportError as problem:
        pingpong.not_installed("mcap", problem)
    packed = [msgspec.msgpack.encode({**pingpong.SMALL, "seq": number}) for number in range(1000)]
    path = os.path.join(tempfile.gettempdir(), "messages.mcap")
    start = time.process_time()
    with open(path, "wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start()
        schema = writer.register_schema(name="small", encoding="", data=b"")
        channel = writer.register_channel(topic="flow", message_encoding="msgpack", schema_id=schema)
        for number in range(asked.messages):
            now = time.time_ns()
            writer.add_message(channel, log_time=now, data=packed[number % 1000], publish_time=now, sequence=number)
        writer.finish()
        file.flush()
        os.fdatasync(file.fileno())
    took = time.process_time() - start
    os.unlink(path)
    pingpong.report([asked.messages / took], version=importlib.metadata.version("mcap"))


main()
