"""Brings what was written to the disk every so often, while more is written.

Source: fdatasync(2); a file may be written meanwhile, what is written later is left for the next time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence


class Sync:
    """One target's syncs, one after the other, each in a thread of its own.

    Args:
        seconds: between the beginnings of two.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic()
        self._thread: threading.Thread | None = None
        self._problem: OSError | None = None

    def due(self) -> bool:
        """Whether it is time for the next one, and the last one has ended.

        Raises:
            OSError: the last one failed.
        """
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        waiting = self._thread is not None and self._thread.is_alive()
        return not waiting and time.monotonic() - self._began >= self._seconds

    def begin(self, descriptors: Sequence[int]) -> None:
        """Syncs the files and closes the descriptors."""
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(descriptors,), name="horus-sync", daemon=True)
        self._thread.start()

    def _run(self, descriptors: Sequence[int]) -> None:
        for descriptor in descriptors:
            try:
                os.fdatasync(descriptor)
            except OSError as problem:
                self._problem = self._problem or problem
            finally:
                os.close(descriptor)

    def join(self) -> None:
        """Returns when none is under way."""
        if self._thread is not None:
            self._thread.join()
