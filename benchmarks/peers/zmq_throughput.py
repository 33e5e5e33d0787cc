"""pyzmq: small dicts pushed from one process to another as fast as they go, PUSH and PULL over ipc."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time

import pingpong


def main() -> None:
    """Prints messages/s."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    asked = parser.parse_args()
    first, second = (int(core) for core in asked.cores.split(","))
    try:
        import msgspec
        import zmq
    except ImportError as problem:
        pingpong.not_installed("pyzmq", problem)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
    address = f"ipc://{tempfile.mkdtemp()}/socket"
    signal.alarm(int(30 + asked.seconds))

    def push() -> None:
        socket = zmq.Context().socket(zmq.PUSH)
        socket.bind(address)
        value = dict(pingpong.SMALL)
        while True:
            value["seq"] += 1
            socket.send(encode(value))

    with pingpong.second_process(second, push) as sender:
        os.sched_setaffinity(0, {first})
        socket = zmq.Context().socket(zmq.PULL)
        socket.connect(address)
        decode(socket.recv())
        rates = []
        for _ in range(10):
            start, got = time.perf_counter(), 0
            while time.perf_counter() - start < asked.seconds / 10:
                for _ in range(100):
                    decode(socket.recv())
                got += 100
            rates.append(got / (time.perf_counter() - start))
        os.kill(sender, signal.SIGKILL)
        socket.close(0)
    pingpong.report(rates, version=zmq.__version__)


main()
