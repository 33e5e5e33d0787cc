"""The daemon's locks and its two sockets.

The locks come first: binding an ``ipc://`` path that another live process has bound would take it over without a word. Who has
them may remove whatever lies at the sockets' paths. They go with the process that holds them, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

import zmq

from horus_core.processes.own_files import open_own
from horus_daemon.client_to_daemon import REQUEST_MOST
from horus_daemon.doorkeeper import HANDSHAKE_MS
from horus_daemon.errors import DaemonRuns
from horus_daemon.events import GREETING
from horus_daemon.places import Places

LOCK_SECONDS = 0.5  # a daemon that is just ending still has it
_LOCK_POLL_SECONDS = 0.02
_FRAME_MOST = 16 * REQUEST_MOST  # bytes; a client that sends more in one frame is cut off by zmq
_REQUESTS_QUEUED = 100
_EVENTS_QUEUED = 10_000  # per subscriber; one that is further behind loses events
_LINGER_MS = 200
_GREETINGS_AT_ONCE, _GREETING_MOST = 100, 100


class Lock:
    """That there is one daemon with these sockets, and one with this state file.

    Args:
        places: its folders; they exist.
        seconds: how long to try.

    Raises:
        DaemonRuns: another process has a lock.
    """

    def __init__(self, places: Places, seconds: float = LOCK_SECONDS) -> None:
        self._descriptors: list[int] = []
        deadline = time.monotonic() + seconds
        for path in places.locks:
            # Close-on-exec: no graph inherits it.
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
            self._descriptors.append(descriptor)
            while not _locked(descriptor):
                if time.monotonic() >= deadline:
                    holder = os.pread(descriptor, 20, 0)
                    self.release()
                    raise DaemonRuns(int(holder) if holder.strip().isdigit() else 0, str(path.parent))
                time.sleep(_LOCK_POLL_SECONDS)
        for descriptor in self._descriptors:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets the next daemon have them. The files stay: removing one would let two daemons lock two files of one name."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Sockets:
    """The sockets, bound; the caller holds the locks.

    Attributes:
        control: ROUTER, for requests.
        events: XPUB, for events; readable when somebody subscribes.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._context = zmq.Context()
        self.control = self._bound(zmq.ROUTER, places.control, _REQUESTS_QUEUED)
        self.events = self._bound(zmq.XPUB, places.events, _EVENTS_QUEUED)

    def _bound(self, kind: int, path: os.PathLike[str], queued: int) -> zmq.Socket[bytes]:
        bound: zmq.Socket[bytes] = self._context.socket(kind)
        bound.setsockopt(zmq.LINGER, _LINGER_MS)
        bound.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        bound.setsockopt(zmq.MAXMSGSIZE, _FRAME_MOST)
        bound.setsockopt(zmq.RCVHWM, queued)
        bound.setsockopt(zmq.SNDHWM, queued)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        bound.bind(f"ipc://{os.fspath(path)}")
        os.chmod(path, self._places.socket_mode)
        return bound

    def receive(self) -> tuple[bytes, list[bytes]] | None:
        """A client's address and the frames it sent, None if nothing has arrived."""
        try:
            address, *frames = self.control.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return address, frames

    def answer(self, address: bytes, data: bytes) -> None:
        """Sends an answer; one to a client that has gone, or does not read, is dropped."""
        with contextlib.suppress(zmq.ZMQError):
            self.control.send_multipart([address, data], zmq.NOBLOCK)

    def greet(self) -> None:
        """Answers those who have subscribed to a subject of their own that begins with GREETING, by an empty event on it.

        Subscriptions take effect one after the other, so who gets that knows that the earlier ones have.
        """
        with contextlib.suppress(zmq.Again):
            for _ in range(_GREETINGS_AT_ONCE):
                wanted = self.events.recv(zmq.NOBLOCK)
                if wanted.startswith(b"\x01" + GREETING) and len(wanted) <= _GREETING_MOST:
                    self.publish(wanted[1:], b"")

    def publish(self, subject: bytes, data: bytes) -> None:
        """Sends an event to all who want it; it never waits for any."""
        with contextlib.suppress(zmq.ZMQError):
            self.events.send_multipart([subject, data], zmq.NOBLOCK)

    def close(self) -> None:
        """Closes both, and removes them from the file system."""
        self._context.destroy(linger=_LINGER_MS)
        for path in (self._places.control, self._places.events):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
