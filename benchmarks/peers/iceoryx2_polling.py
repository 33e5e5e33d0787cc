"""iceoryx2: a bare u64 by publish and subscribe, both sides polling. There is no dict and no packing in it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import tempfile
import time
from typing import Any

import pingpong

END = 2**64 - 1


def main() -> None:
    asked = pingpong.arguments()
    try:
        version = importlib.metadata.version("iceoryx2")
    except ImportError as problem:
        pingpong.not_installed("iceoryx2", problem)
    folder = tempfile.mkdtemp()
    ready = f"{folder}/ready"
    name = f"bench/{os.getpid()}"

    def ports(out: str, into: str) -> tuple[Any, ...]:
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)
        node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)

        def service(topic: str) -> Any:
            builder = node.service_builder(iceoryx2.ServiceName.new(f"{name}/{topic}"))
            return builder.publish_subscribe(ctypes.c_uint64).open_or_create()

        return service(out).publisher_builder().create(), service(into).subscriber_builder().create(), node

    def answer() -> None:
        publisher, subscriber, _node = ports("pong", "ping")
        open(ready, "w").close()
        while True:
            sample = subscriber.receive()
            if sample is None:
                continue
            value = sample.payload().contents.value
            publisher.send_copy(ctypes.c_uint64(value))
            if value == END:
                break

    with pingpong.second_process(asked.cores[1], answer):
        os.sched_setaffinity(0, {asked.cores[0]})
        while not os.path.exists(ready):
            time.sleep(0.01)
        publisher, subscriber, _node = ports("ping", "pong")
        time.sleep(0.2)

        def turn(number: int) -> None:
            publisher.send_copy(ctypes.c_uint64(number))
            while (sample := subscriber.receive()) is None:
                pass
            assert sample.payload().contents.value == number

        taken = pingpong.time_rounds(turn, asked.warmup, asked.samples)
        turn(END)
    pingpong.report(taken, version=version)


main()
