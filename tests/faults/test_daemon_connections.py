"""Clients that open more connections than anybody needs: the daemon lives, answers, and lets go of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from horus_daemon.doorkeeper import HANDSHAKE_MS
from horus_daemon.events import GraphEvent
from tests.daemons import Horusd, end_graphs, robot
from tests.scripts import wait_until


def connections(daemon: Horusd) -> int:
    """How many Unix sockets the daemon has open."""
    assert daemon.process is not None
    return len(psutil.Process(daemon.process.pid).net_connections("unix"))


FLOOD = """
import resource, socket, sys
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
for _ in range(int(sys.argv[2])):
    each = socket.socket(socket.AF_UNIX)
    held.append(each)
    each.settimeout(5)
    try:
        each.connect(sys.argv[1])
    except OSError:
        pass
print("open", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def silent(path: Path, count: int) -> Iterator[None]:
    """A client with `count` connections on which it says nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD, str(path), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == b"open\n"
            yield
        finally:
            process.stdin.close()


@pytest.fixture
def daemon() -> Iterator[Horusd]:
    """One that was started as most are: it may open 1,024 files, and 4,096 if it asks."""
    found = Horusd()
    limits = 'ulimit -S -n 1024; ulimit -H -n 4096; exec "$@"'
    found._command = ["sh", "-c", limits, "sh", *found._command]
    try:
        yield found.start()
        assert found.end() == 0
    finally:
        if found.process is not None:
            found.kill()
        found.client.close()
        end_graphs(found.places)


@pytest.mark.parametrize("which", ["control", "events"])
def test_three_thousand_silent_connections_are_survived_and_let_go(daemon: Horusd, which: str) -> None:
    few = connections(daemon)
    with silent(getattr(daemon.places, which), 3000):
        assert daemon.process is not None
        assert daemon.client.status().pid == daemon.process.pid
        wait_until(lambda: connections(daemon) < 600, what="the bound")
        # None of them has greeted as a client does.
        wait_until(
            lambda: connections(daemon) <= few + 5,
            seconds=HANDSHAKE_MS / 1000 + 15,
            what="the silent ones to be dropped",
        )
    assert daemon.client.status().pid == daemon.process.pid


def test_who_listens_hears_again_after_a_flood(daemon: Horusd, tmp_path: Path) -> None:
    heard = daemon.client.events(timeout=30)
    daemon.client.up(daemon.spec(robot(tmp_path)))
    assert next(heard).graph == "robot"  # type: ignore[union-attr]
    with silent(daemon.places.events, 1500):
        wait_until(lambda: connections(daemon) < 600, what="the bound")
        daemon.client.wait_for("robot")
    daemon.down("robot")
    assert any(isinstance(event, GraphEvent) and event.state == "stopped" for event in heard)
