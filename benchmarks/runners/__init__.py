"""Programs that run HORUS for a benchmark, each in a process of its own, and print one JSON line at the end."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def report(samples: Sequence[float], **facts: object) -> None:
    """Prints the line that the harness reads."""
    print(json.dumps({"samples": list(samples), **facts}), flush=True)


class Notes:
    """What nodes, in their own processes, want to say to the script when they end."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())

    def write(self, name: str, values: object) -> None:
        """Leaves `values` under `name`; in a node's ``shutdown``."""
        path = self._folder / name
        path.with_suffix(".new").write_text(json.dumps(values))
        path.with_suffix(".new").rename(path)

    def read(self, name: str) -> list[float]:
        """What was left; after the run."""
        found: list[float] = json.loads((self._folder / name).read_text())
        return found


def cores(words: str) -> list[int]:
    """``"0,1"`` as numbers; all that this process may use if empty."""
    return [int(word) for word in words.split(",")] if words else sorted(os.sched_getaffinity(0))
