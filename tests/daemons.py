"""Daemons for tests: real ones in processes of their own, in the folders of the test; each is ended with all of its graphs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from horus_daemon.client import Client
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended, GraphInfo
from horus_daemon.errors import DaemonNotRunning, DaemonSilent
from horus_daemon.places import Places, user_places
from horus_daemon.specs import graph_spec
from tests.scripts import ROOT, alive, wait_until

# A graph in virtual time, at 100 Hz until it is told to end. Nobody can be late in it, so each tick happens.
ROBOT = """
    import horus

    def read(node):
        node.send("scan", horus.tick())

    def drive(node):
        scan = node.recv("scan")
        if scan is not None and scan % 50 == 0:
            print("at", scan)

    sensor = horus.Node(name="sensor", tick=read, rate=100, pubs=["scan"])
    driver = horus.Node(name="driver", tick=drive, rate=100, subs=["scan"])
    horus.run(sensor, driver, tick_rate=100, deterministic=True, name="robot")
"""


def robot(folder: Path, source: str = ROBOT, name: str = "robot.py") -> Path:
    """Writes the script of a graph."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


class Horusd:
    """A daemon of the test.

    Args:
        places: its folders; the user's if not given.
        arguments: of the command.
        environment: variables besides those of the test.
    """

    def __init__(self, places: Places | None = None, *arguments: str, **environment: str) -> None:
        self.places = places or user_places()
        self._command = [sys.executable, "-m", "horus_daemon.main", *arguments]
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = Client(self.places)

    def start(self) -> Horusd:
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_until(self.answers, what="the daemon to answer")
        return self

    def answers(self) -> bool:
        process = self.process
        assert process is not None
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            return self.client.status().pid == process.pid
        except (DaemonNotRunning, DaemonSilent):
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it with a signal. Returns its exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        try:
            _, said = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        assert b"Traceback" not in (said or b""), said.decode()
        return process.returncode

    def ended(self) -> int:
        """Waits until it has ended by itself. Returns its exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.communicate(timeout=20)
        return process.returncode

    def kill(self) -> None:
        """Ends it without a word."""
        self.end(signal.SIGKILL)

    def up(self, script: Path, **options: Any) -> GraphInfo:
        """Brings a graph up, and waits until it runs."""
        spec = self.spec(script, **options)
        self.client.up(spec)
        return self.client.wait_for(spec.name)

    def spec(self, script: Path, **options: Any) -> GraphSpec:
        """A graph's spec, for processes that find the source tree."""
        environment = {"PYTHONPATH": str(ROOT), **options.pop("environment", {})}
        return graph_spec(script, environment=environment, **options)

    def down(self, name: str) -> GraphInfo | None:
        """Ends a graph, and waits until it has ended."""
        self.client.down(name)
        return self.client.wait_until_down(name, 30)

    def state_of(self, name: str, *states: str) -> GraphInfo:
        """The graph, once it is in one of `states`."""

        def there() -> GraphInfo | None:
            graph = self.client.graph(name)
            return graph if graph.state in states else None

        found = wait_until(there, what=f"graph {name} to be {' or '.join(states)}")
        assert isinstance(found, GraphInfo)
        return found

    def log(self, name: str = "horusd") -> str:
        """What a log holds."""
        path = self.places.graph_log(name)
        return path.read_text() if path.exists() else ""


def supervisors(places: Places) -> list[psutil.Process]:
    """The processes of the graphs of the daemon that has these folders."""
    found = []
    for path in places.supervisors.glob("*.run"):
        from horus_daemon.process import GraphFiles

        run = GraphFiles(places.supervisors, path.stem, path, 0o600).read_run()
        if run is not None and run.identity.alive:
            found.append(psutil.Process(run.identity.pid))
    return found


@contextlib.contextmanager
def horusd(places: Places | None = None, *arguments: str, **environment: str) -> Iterator[Horusd]:
    """A daemon that runs; at the end it and all of its graphs are ended."""
    daemon = Horusd(places, *arguments, **environment)
    try:
        yield daemon.start()
    finally:
        try:
            if daemon.process is not None:
                daemon.end()
        finally:
            daemon.client.close()
            end_graphs(daemon.places)


def end_graphs(places: Places) -> None:
    """Ends the graphs that run, in order, and kills those that do not end."""
    left = supervisors(places)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    try:
        wait_until(lambda: not any(alive(process.pid) for process in left), 15, "graphs to end")
    finally:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@dataclass
class Played:
    """A graph's process that ends when the test says so."""

    pid: int
    end: Ended | None = None
    signals: list[int] = field(default_factory=list)
    closed: bool = False
    pidfd: int = -1

    def ended(self) -> Ended | None:
        return self.end

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def close(self) -> None:
        self.closed = True
