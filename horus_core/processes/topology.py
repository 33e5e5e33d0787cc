"""Which cores share what, and how many of them this process may keep busy; read from the kernel's files.

Source: Documentation/admin-guide/cputopology.rst of Linux.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from horus_core.processes.control_group import processor_quota


@dataclass(frozen=True)
class Topology:
    """What `place` wants to know of the machine.

    Attributes:
        siblings: per core, those that are hardware threads of the same one, itself included.
        caches: per core, those that share its last-level cache, itself included.
        isolated: cores that the scheduler keeps free (``isolcpus=``), for those who ask for them by ``core=``.
        quota: processors' worth of time that the cgroup allows; infinite without a limit.
    """

    siblings: dict[int, frozenset[int]] = field(default_factory=dict)
    caches: dict[int, frozenset[int]] = field(default_factory=dict)
    isolated: frozenset[int] = frozenset()
    quota: float = math.inf

    @classmethod
    def here(cls, cores: Sequence[int], system: Path = Path("/sys")) -> Topology:
        """Of this machine, for `cores`. What the kernel does not tell counts as not shared and not limited."""
        base = system / "devices/system/cpu"
        siblings, caches = {}, {}
        for core in cores:
            siblings[core] = _cores(base / f"cpu{core}/topology/thread_siblings_list") | {core}
            levels = sorted(base.glob(f"cpu{core}/cache/index*"), key=lambda index: _number(index / "level"))
            caches[core] = (_cores(levels[-1] / "shared_cpu_list") if levels else frozenset()) | {core}
        return cls(siblings, caches, _cores(base / "isolated"), processor_quota() or math.inf)

    def usable(self, cores: Sequence[int]) -> list[int]:
        """Of `cores`, those to spread nodes over: none that are isolated, and no more than the quota keeps busy.

        More cores than the quota allows would only mean that all nodes stop together when it is used up. One hardware
        thread of each core comes before the second of any.
        """
        common = [core for core in cores if core not in self.isolated] or list(cores)
        seen: set[int] = set()
        first: list[int] = []
        second: list[int] = []
        for core in common:
            (second if core in seen else first).append(core)
            seen |= self.siblings.get(core, frozenset())
        most = len(common) if math.isinf(self.quota) else max(1, math.ceil(self.quota))
        return sorted((first + second)[:most])


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path)
    return int(text) if text.isdecimal() else 0


def _cores(path: Path) -> frozenset[int]:
    """The cores of a list as the kernel writes it.

    >>> _parsed("0-2,5")
    frozenset({0, 1, 2, 5})
    """
    return _parsed(_read(path))


def _parsed(text: str) -> frozenset[int]:
    found: set[int] = set()
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return frozenset()
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
