"""Starts the user's daemon in the background, and ends a daemon."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

from horus_daemon.client import Client
from horus_daemon.daemon_to_client import DaemonStatus
from horus_daemon.errors import DaemonDied, DaemonNotRunning, DaemonRuns, DaemonSilent
from horus_daemon.places import Places, answers, user_places
from horus_daemon.process import Identity, module_command

START_SECONDS = 10.0
STOP_SECONDS = 90.0  # for a daemon that ends its graphs first
_POLL_SECONDS = 0.02


def start_daemon(places: Places | None = None, seconds: float = START_SECONDS) -> DaemonStatus:
    """Starts the user's daemon, in a session of its own, so that it outlives the terminal.

    Args:
        places: its folders.
        seconds: until it must answer.

    Returns:
        Its status.

    Raises:
        DaemonRuns: it runs already.
        DaemonDied: it ended at once; its own words are in the message.
    """
    places = places or user_places()
    places.prepare()
    with Client(places, timeout=seconds) as client:
        with contextlib.suppress(DaemonNotRunning):
            raise DaemonRuns(client.status().pid, str(places.runtime))
        log = os.open(
            places.daemon_log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, places.log_mode
        )
        before = os.fstat(log).st_size
        try:
            daemon = subprocess.Popen(
                module_command(sys.executable, "horus_daemon.main", "--background"),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,  # what the interpreter says; the daemon itself writes into the file
                start_new_session=True,
            )
            return _wait(client, daemon, places, log, before, seconds)
        finally:
            os.close(log)


def _wait(
    client: Client, daemon: subprocess.Popen[bytes], places: Places, log: int, before: int, seconds: float
) -> DaemonStatus:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(DaemonNotRunning):
            status = client.status()
            daemon.returncode = 0  # it is not ours to wait for
            return status
        code = daemon.poll()
        if code is not None:
            said = os.pread(log, 1 << 16, before).decode(errors="replace").strip().split("\n")[-1]
            raise DaemonDied(code, said or "it said nothing")
        if time.monotonic() > deadline:
            raise DaemonSilent("start", seconds)
        time.sleep(_POLL_SECONDS)


def stop_daemon(client: Client, graphs: bool = False, seconds: float = STOP_SECONDS) -> DaemonStatus:
    """Ends a daemon, and waits until it has ended.

    Args:
        client: of the daemon.
        graphs: end its graphs first; else they go on.
        seconds: until it must have ended.

    Returns:
        Its last status.

    Raises:
        DaemonSilent: it has not ended in time.
    """
    status = client.status()
    process = Identity.of(status.pid)
    client.shutdown(graphs)
    deadline = time.monotonic() + seconds
    while answers(client.places.control) or (process is not None and process.alive):
        if time.monotonic() > deadline:
            raise DaemonSilent("stop", seconds)
        time.sleep(_POLL_SECONDS)
    return status
