"""eclipse-zenoh: two peers on one Unix socket, a publisher and a subscriber each; no scouting, no network."""

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
        version = importlib.metadata.version("eclipse-zenoh")
        import msgspec
        import numpy as np
    except ImportError as problem:
        pingpong.not_installed("eclipse-zenoh", problem)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
    folder = tempfile.mkdtemp()
    endpoint = f"unixsock-stream/{folder}/zenoh"
    ready = f"{folder}/ready"

    def session(listen: bool) -> Any:
        import zenoh  # starts threads, so each process imports it for itself

        zenoh.init_log_from_env_or("error")
        config = zenoh.Config()
        config.insert_json5("mode", '"peer"')
        config.insert_json5("scouting/multicast/enabled", "false")
        config.insert_json5("scouting/gossip/enabled", "false")
        config.insert_json5("listen/endpoints", f'["{endpoint}"]' if listen else "[]")
        config.insert_json5("connect/endpoints", "[]" if listen else f'["{endpoint}"]')
        return zenoh.open(config)

    def zenoh_block() -> Any:
        import zenoh

        return zenoh.CongestionControl.BLOCK  # its default drops large messages under way

    def answer() -> None:
        with session(listen=True) as opened:
            publisher = opened.declare_publisher("bench/pong", congestion_control=zenoh_block())
            with opened.declare_subscriber("bench/ping") as subscriber:
                open(ready, "w").close()
                for sample in subscriber:
                    packed = sample.payload.to_bytes()
                    if sample.attachment is not None:
                        array = np.frombuffer(packed, dtype=np.uint8)
                        assert array[-1] == array[0]
                        publisher.put(encode({"seq": int.from_bytes(sample.attachment.to_bytes(), "little")}))
                        continue
                    value = decode(packed)
                    if value["seq"] < 0:
                        break
                    publisher.put(encode(value))

    with pingpong.second_process(asked.cores[1], answer):
        os.sched_setaffinity(0, {asked.cores[0]})
        while not os.path.exists(ready):
            time.sleep(0.01)
        with session(listen=False) as opened:
            publisher = opened.declare_publisher("bench/ping", congestion_control=zenoh_block())
            with opened.declare_subscriber("bench/pong") as subscriber:
                time.sleep(0.3)  # until both know of each other's subscription
                payload = bytes(asked.payload)

                def turn(number: int) -> None:
                    if asked.payload:
                        publisher.put(payload, attachment=number.to_bytes(8, "little"))
                    else:
                        publisher.put(encode({**pingpong.SMALL, "seq": number}))
                    assert decode(subscriber.recv().payload.to_bytes())["seq"] == number

                taken = pingpong.time_rounds(turn, asked.warmup, asked.samples)
                publisher.put(encode({"seq": -1}))
    pingpong.report(taken, version=version)


main()
