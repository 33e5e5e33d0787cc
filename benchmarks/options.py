"""How thoroughly to measure, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """Settings of a run.

    Attributes:
        quick: fewer rounds and samples: shows that everything works and the order of magnitude.
        cores: what this process may use.
        peer_python: an interpreter that has horus-robotics, "" for none.
        check: only ratios count, so what takes long and adds none is left out.
    """

    quick: bool
    cores: tuple[int, ...]
    peer_python: str
    check: bool = False

    @classmethod
    def here(cls, quick: bool = False, peer_python: str = "", check: bool = False) -> Options:
        """The settings for this machine."""
        peer_python = peer_python or os.environ.get("HORUS_BENCH_PEER_PYTHON", "")
        return cls(quick, tuple(sorted(os.sched_getaffinity(0))), peer_python, check)

    def pick(self, full: T, quick: T) -> T:
        """`quick` in a quick run, else `full`."""
        return quick if self.quick else full

    @property
    def placements(self) -> list[tuple[str, tuple[int, int]]]:
        """Where two processes can stand: (words, cores)."""
        found = [("one core", (self.cores[0], self.cores[0]))]
        if len(self.cores) > 1:
            found.append(("two cores", (self.cores[0], self.cores[1])))
        return found
