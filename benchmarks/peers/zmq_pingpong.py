"""pyzmq: PAIR sockets over ipc."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pingpong


def main() -> None:
    asked = pingpong.arguments()
    try:
        import msgspec
        import numpy as np
        import zmq
    except ImportError as problem:
        pingpong.not_installed("pyzmq", problem)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
    address = f"ipc://{tempfile.mkdtemp()}/socket"

    def answer() -> None:
        context = zmq.Context()
        socket = context.socket(zmq.PAIR)
        socket.bind(address)
        while True:
            if asked.payload:
                head, body = (frame.buffer for frame in socket.recv_multipart(copy=False))
                array = np.frombuffer(body, dtype=np.uint8)
                assert array[-1] == array[0]
                value = decode(head)
            else:
                value = decode(socket.recv())
            if value["seq"] < 0:
                break
            socket.send(encode(value))
        socket.close(0)
        context.term()

    with pingpong.second_process(asked.cores[1], answer):
        os.sched_setaffinity(0, {asked.cores[0]})
        context = zmq.Context()
        socket = context.socket(zmq.PAIR)
        socket.connect(address)
        socket.rcvtimeo = int(pingpong.BOUND * 1000)
        array: Any = np.zeros(asked.payload, dtype=np.uint8)

        def turn(number: int) -> None:
            packed = encode({**pingpong.SMALL, "seq": number})
            if asked.payload:
                socket.send_multipart([packed, array], copy=False)
            else:
                socket.send(packed)
            if number >= 0:
                assert decode(socket.recv())["seq"] == number

        taken = pingpong.time_rounds(turn, asked.warmup, asked.samples)
        turn(-1)
        socket.close(1000)
        context.term()
    pingpong.report(taken, version=zmq.__version__)


main()
