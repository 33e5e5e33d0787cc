"""horus-robotics: a small dict over a generic Topic, both sides polling (it has no other way to receive)."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import time
from typing import Any

import pingpong


def main() -> None:
    asked = pingpong.arguments()
    try:
        version = importlib.metadata.version("horus-robotics")
    except ImportError as problem:
        pingpong.not_installed("horus-robotics", problem)
    name = f"bench_{os.getpid()}"
    ready = f"{tempfile.mkdtemp()}/ready"

    def topics() -> tuple[Any, Any]:
        import horus

        return horus.Topic(f"{name}_ping"), horus.Topic(f"{name}_pong")

    def answer() -> None:
        ping, pong = topics()
        open(ready, "w").close()
        while True:
            value = ping.recv()
            if value is None:
                continue
            if value["seq"] < 0:
                break
            pong.send(value)

    with pingpong.second_process(asked.cores[1], answer):
        os.sched_setaffinity(0, {asked.cores[0]})
        ping, pong = topics()
        while not os.path.exists(ready):
            time.sleep(0.01)
        time.sleep(0.2)

        def turn(number: int) -> None:
            ping.send({**pingpong.SMALL, "seq": number})
            while (value := pong.recv()) is None:
                pass
            assert value["seq"] == number

        taken = pingpong.time_rounds(turn, asked.warmup, asked.samples)
        ping.send({"seq": -1})
    pingpong.report(taken, version=version)


main()
