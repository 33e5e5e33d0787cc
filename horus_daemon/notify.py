"""What systemd is told: one datagram per message, to the socket that it names in the environment."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

# What a service gets from systemd for itself, not for the processes that it starts.
PRIVATE = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
)

_WAIT_SECONDS = 1.0  # for what systemd must not miss


class Notifier:
    """Talks to systemd; silently to nobody without it.

    Args:
        environ: where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are looked for.

    Attributes:
        watchdog: seconds within which systemd wants a sign of life; None if it wants none.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract socket's name.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        self.watchdog = _watchdog(environ)
        self._fed = float("-inf")

    @property
    def active(self) -> bool:
        """Whether systemd listens."""
        return self._socket is not None

    def send(self, *lines: str, seconds: float = 0.0) -> bool:
        """Sends `lines` as one message.

        Args:
            lines: ``NAME=VALUE`` each.
            seconds: how long to wait if systemd is behind in reading.

        Returns:
            Whether it was sent; a full or missing socket is no error.
        """
        if self._socket is None:
            return False
        self._socket.settimeout(seconds)
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def ready(self, status: str) -> None:
        """The service has started, or has reloaded."""
        self.send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}", seconds=_WAIT_SECONDS)

    def status(self, status: str) -> bool:
        """One line for ``systemctl status``. Returns whether there is no need to say it again."""
        return self.send(f"STATUS={status}") or not self.active

    def reloading(self) -> None:
        """The service reloads; `ready` tells when it has."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={microseconds}", seconds=_WAIT_SECONDS)

    def stopping(self, status: str, seconds: float = 0.0) -> None:
        """The service ends, which may take `seconds`."""
        extend = [f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}"] if seconds else []
        self.send("STOPPING=1", f"STATUS={status}", *extend, seconds=_WAIT_SECONDS)

    def alive(self, now: float) -> None:
        """To be called often: tells the watchdog, twice in its time. `now` is in seconds."""
        if self.watchdog is not None and now - self._fed >= self.watchdog / 2 and self.send("WATCHDOG=1"):
            self._fed = now

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close()


def _watchdog(environ: MutableMapping[str, str]) -> float | None:
    for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = 0
    with contextlib.suppress(ValueError):
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    return microseconds * 1e-6 if for_us and microseconds > 0 else None
