"""The graph that is soaked: six nodes with all failure policies, recorded. Run as a program: SESSION, and 1 for lockstep."""

from __future__ import annotations

import sys
from typing import Any

import horus
from horus import Node, Restart, Scheduler

RATE = 200
WATCHDOG = 1.0  # seconds
POLICIES = {  # per node, what follows when it fails
    "source": "restart", "left": "restart", "right": "ignore", "join": "restart", "control": "skip", "drive": "fatal",
}  # fmt: skip
LANES = 5  # each of which the supervisor maps, once, to commit what one that is late or dead has sent in it
IGNORED_MOST = 4  # how often one that is ignored is started again within a minute; after that it is fatal, too


def _source(node: Node) -> None:
    node.send("x", horus.tick())


def _left(node: Node) -> None:
    for message in node.recv_all("x"):
        node.send("left", message)


def _right(node: Node) -> None:
    for message in node.recv_all("x"):
        node.send("right", message)


def _join(node: Node) -> None:
    node.send("joined", [len(node.recv_all("left")), len(node.recv_all("right"))])


def _control(node: Node) -> None:
    node.recv_all("joined")
    node.send("command", horus.tick())


def _drive(node: Node) -> None:
    node.recv_all("command")


def _policy(name: str) -> Any:
    return Restart(times=1_000_000, first=0.01, most=0.05) if POLICIES[name] == "restart" else POLICIES[name]


def main(session: str, lockstep: bool) -> None:
    """Runs it until somebody ends it."""
    scheduler = Scheduler(
        tick_rate=RATE, deterministic=lockstep, recording=session, name=session, watchdog_ms=WATCHDOG * 1e3
    )
    for name, tick, subs, pubs in (
        ("source", _source, [], ["x"]),
        ("left", _left, ["x"], ["left"]),
        ("right", _right, ["x"], ["right"]),
        ("join", _join, ["left", "right"], ["joined"]),
        ("control", _control, ["joined"], ["command"]),
        ("drive", _drive, ["command"], []),
    ):
        scheduler.add(Node(name=name, tick=tick, subs=subs, pubs=pubs, rate=RATE, failure_policy=_policy(name)))
    scheduler.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "1")
