"""dora-rs: a dataflow of two nodes under its own daemon, run in this process by ``dora.run``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
from pathlib import Path

import pingpong

_FLOW = """\
nodes:
  - id: ping
    path: {script}
    args: "ping {asked}"
    inputs: {{pong: pong/pong}}
    outputs: [ping]
  - id: pong
    path: {script}
    args: "pong {asked}"
    inputs: {{ping: ping/ping}}
    outputs: [pong]
"""


def main() -> None:
    """Writes the dataflow, runs it, and reads what the ping node wrote down."""
    asked = pingpong.arguments()
    try:
        version = importlib.metadata.version("dora-rs")
        import dora
    except ImportError as problem:
        pingpong.not_installed("dora-rs", problem)
    folder = Path(tempfile.mkdtemp())
    given = " ".join(map(str, (*asked.cores, asked.warmup, asked.samples, asked.payload, folder / "samples")))
    (folder / "flow.yml").write_text(_FLOW.format(script=Path(__file__).resolve(), asked=given))
    os.chdir(folder)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["DORA_NODE_SHM_POOL_SIZE"] = str(1 << 29)  # its default takes no more than a few MB without detours
    os.sched_setaffinity(0, set(asked.cores))  # its daemon's threads stay where the nodes are
    with contextlib.redirect_stdout(sys.stderr):
        dora.run("flow.yml")
    pingpong.report(json.loads((folder / "samples").read_text()), version=version)


def node(role: str, asked: list[int], path: str) -> None:
    """One node of the dataflow."""
    core, other, warmup, samples, payload = asked
    os.sched_setaffinity(0, {core if role == "ping" else other})
    import dora
    import msgspec
    import numpy as np
    import pyarrow as pa

    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
    here = dora.Node()
    array = pa.array(np.zeros(payload, dtype=np.uint8))
    if role == "pong":
        here.send_output("pong", encode({"seq": -1}))
        for event in here:
            if event["type"] == "STOP":
                break
            if event["type"] != "INPUT":
                continue
            received = event["value"].to_numpy()
            number = event["metadata"].get("seq")
            if number is None:
                number = decode(received)["seq"]
            else:
                assert received[-1] == received[0]
            if number < 0:
                break
            here.send_output("pong", encode({**pingpong.SMALL, "seq": number}))
        return

    def wait_for(number: int) -> None:
        while True:
            event = here.next()
            if event["type"] == "INPUT" and decode(event["value"].to_numpy())["seq"] == number:
                return

    def turn(number: int) -> None:
        if payload:
            here.send_output("ping", array, {"seq": number})
        else:
            here.send_output("ping", encode({**pingpong.SMALL, "seq": number}))
        wait_for(number)

    wait_for(-1)
    Path(path).write_text(json.dumps(pingpong.time_rounds(turn, warmup, samples)))
    here.send_output("ping", encode({"seq": -1}))


if len(sys.argv) == 8 and sys.argv[1] in ("ping", "pong"):
    node(sys.argv[1], [int(word) for word in sys.argv[2:7]], sys.argv[7])
else:
    main()
