"""Keys of a person at a terminal, one by one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from types import FrameType

_SEQUENCES = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"}
_SEQUENCES.update({sequence.replace(b"[", b"O"): name for sequence, name in _SEQUENCES.items()})
_ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # SIGHUP: the terminal is gone, so end in order

Handler = Callable[[int, FrameType | None], None]


def can_read_keys() -> bool:
    """Whether a person sits at standard input, and it is ours: a process in the background must not touch it."""
    if not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def single_keys() -> Iterator[int]:
    """Lets the terminal hand over keys one by one and without echo, until the block ends, however it ends.

    A signal that would end the process at once restores the terminal first, and SIGHUP then counts as SIGTERM; one that
    somebody handles is left alone. After Ctrl-Z and ``fg`` keys come one by one again. For the main thread.

    Yields:
        The descriptor to read from.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0

    def restore() -> None:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def end(number: int, _: FrameType | None) -> None:
        restore()
        if number == signal.SIGHUP:
            signal.raise_signal(signal.SIGTERM)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def take(number: int = 0, frame: FrameType | None = None) -> None:
        if can_read_keys():
            termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)

    wanted: dict[int, Handler] = {**dict.fromkeys(_ENDINGS, end), signal.SIGCONT: take}
    handled = {number: handler for number, handler in wanted.items() if signal.getsignal(number) == signal.SIG_DFL}
    try:
        for number, handler in handled.items():
            signal.signal(number, handler)
        take()
        yield descriptor
    finally:
        restore()
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


class Keys:
    """Takes keys apart: letters as they are, arrows by name.

    >>> keys = Keys()
    >>> keys.named(b" q\\x1b["), keys.named(b"A")
    ([' ', 'q'], ['up'])
    """

    def __init__(self) -> None:
        self._rest = b""

    def named(self, data: bytes) -> list[str]:
        """The keys in `data`; the start of a sequence waits for its end."""
        data, found = self._rest + data, []
        self._rest = b""
        while data:
            if data[:1] == b"\x1b" and len(data) < 3 and data in (b"\x1b", b"\x1b[", b"\x1bO"):
                self._rest = data
                break
            length = 3 if data[:3] in _SEQUENCES else 1
            found.append(_SEQUENCES.get(data[:3]) or data[:1].decode("latin-1"))
            data = data[length:]
        return found
