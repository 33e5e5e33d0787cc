"""The flight recorder of a running graph: its folder in shared memory, and when it is saved."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from horus_core.execution.events import Events
from horus_core.recording.keeping.blackbox import make_blackbox, remove_blackbox, save_blackbox

SAVE_SECONDS = 10.0  # between two saves


class FlightRecorder:
    """Made with the graph, and gone with it; what it held when something happened is a session.

    Args:
        graph: the graph's id.
        name: its name.

    Attributes:
        folder: where it is.
    """

    def __init__(self, graph: str, name: str) -> None:
        self.folder: Path = make_blackbox(graph, name)
        self._saved = -SAVE_SECONDS

    def keep(self, reason: str, events: Events) -> None:
        """Saves it beside the running graph, at most once in SAVE_SECONDS."""
        now = time.monotonic()
        if now - self._saved < SAVE_SECONDS:
            return
        self._saved = now
        events.emit("flight recorder saved", reason=reason)
        threading.Thread(target=save_blackbox, args=(self.folder,), name="horus-blackbox", daemon=True).start()

    def save(self) -> Path | None:
        """Saves it now; returns the session's folder, None if nothing was recorded yet."""
        return save_blackbox(self.folder)

    def remove(self) -> None:
        """Removes it."""
        remove_blackbox(self.folder)
