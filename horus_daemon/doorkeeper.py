"""How many connections the daemon has at once: no more than it can bear, whoever asks for how many.

ZeroMQ accepts every connection at once, and ends the whole process if the system gives it no descriptor for one more. So
the daemon may open many files, hears of each connection, and when there are too many shuts down the oldest of that process
which has the most: whoever else is connected, or connects, is served. A connection on which no ZeroMQ client says so within
`HANDSHAKE_MS` is dropped by ZeroMQ itself.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from horus_core.processes.descriptors import raise_limit
from horus_daemon.journal import log

OPEN_FILES = 8192  # wanted; graphs inherit it
MOST = 512  # connections, or a quarter of the files that the daemon may open if that is less
HANDSHAKE_MS = 2000
_TELL_SECONDS = 60.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED


class Doorkeeper:
    """Minds the connections of some bound sockets.

    Args:
        sockets: they listen on Unix sockets.
        most: how many connections there may be; None: see `MOST`.
        clock: a monotonic one.

    Attributes:
        monitors: become readable when there is something to :meth:`mind`.
        dropped: connections that were shut down.
    """

    def __init__(
        self,
        sockets: Sequence[zmq.Socket[bytes]],
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = min(MOST, raise_limit(OPEN_FILES) // 4) if most is None else most
        self.monitors = [each.get_monitor_socket(_EVENTS) for each in sockets]
        self.dropped = 0
        self._clock, self._told = clock, float("-inf")
        self._connections: dict[int, int] = {}  # descriptor and the peer's process, in the order in which they came

    def mind(self) -> None:
        """Hears who came and went; shuts one down for each that is too many, at once, for others are coming."""
        before = self.dropped
        for monitor in self.monitors:
            with contextlib.suppress(zmq.Again):
                while True:
                    self._hear(recv_monitor_message(monitor, zmq.NOBLOCK))
                    if len(self._connections) > self._most:
                        self._make_room()
        if self.dropped > before:
            self._tell()

    def _make_room(self) -> None:
        (greedy, _), *_ = Counter(self._connections.values()).most_common(1)
        descriptor = next(each for each, process in self._connections.items() if process == greedy)
        del self._connections[descriptor]
        _shut_down(descriptor)
        self.dropped += 1

    def _hear(self, message: object) -> None:
        event, descriptor = message["event"], message["value"]  # type: ignore[index]
        self._connections.pop(descriptor, None)
        if event == zmq.EVENT_ACCEPTED:
            self._connections[descriptor] = _peer_of(descriptor)

    def _tell(self) -> None:
        now = self._clock()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            log.warning("more than %d connections; the oldest are dropped (so far %d)", self._most, self.dropped)


def _peer_of(descriptor: int) -> int:
    """The process at the other end of a connection, 0 if it is gone."""
    with _connection(descriptor) as connection:
        if connection is not None:
            pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return int(pid)
    return 0


def _shut_down(descriptor: int) -> None:
    with _connection(descriptor) as connection, contextlib.suppress(OSError):
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _connection(descriptor: int) -> Iterator[socket.socket | None]:
    """A Unix socket whose descriptor stays ZeroMQ's. If it has just closed it, the number may be something else's: None if
    that is no Unix socket; if it is one, a client connects again."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        yield None
        return
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        yield None
        return
    with connection:
        yield connection if connection.family == socket.AF_UNIX else None
