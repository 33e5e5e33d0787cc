"""What one node prints and logs: passed on line by line, and kept in its log file."""

from __future__ import annotations

import contextlib
from typing import Any

from horus_core.execution.plan import Output


class NodeOutput:
    """The lines of one node.

    Args:
        node: its name.
        output: what shows a line.

    Attributes:
        log: its log file, None before there is one.
        muted: whether lines are neither shown nor kept.
    """

    def __init__(self, node: str, output: Output) -> None:
        self._node, self._output = node, output
        self._partial = b""
        self.log: Any = None
        self.muted = False

    def take(self, data: bytes, last: bool = False) -> None:
        """Takes what the process has printed; `last` if nothing follows, then what is no whole line is one, too."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if last and self._partial:
            lines, self._partial = [*lines, self._partial], b""
        for line in lines:
            self.line(line.decode(errors="replace"))

    def line(self, line: str, shown: bool = True) -> None:
        """Keeps a line, and shows it."""
        if self.muted:
            return
        if shown:
            with contextlib.suppress(OSError):  # a terminal or a reader that is gone must not end the robot
                self._output(self._node, line)
        if self.log is not None:
            with contextlib.suppress(OSError):
                self.log.write(line + "\n")

    def close(self) -> None:
        """Closes the log file."""
        if self.log is not None:
            self.log.close()
            self.log = None
