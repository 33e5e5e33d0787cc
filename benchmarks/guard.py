"""``check``: do HORUS's ratios to the others still hold?

Times change with the machine, so only ratios are compared, and only those that were measured both now and for the
committed table. One may be worse by TOLERANCE before it counts: rounds on a shared machine differ by that much.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.report import Row, figure

TOLERANCE = 0.35  # a ratio may be worse by this share
# What is compared: benchmarks whose ratios are to a yardstick on the same work, and steady enough.
COMPARED = ("wakeup", "polling", "lockstep", "recorder", "overhead", "nodes", "memory")


class Finding(msgspec.Struct, frozen=True):
    """One ratio, then and now.

    Attributes:
        worse: by which share it is worse; negative if it is better.
    """

    row: Row
    then: float
    now: float
    worse: float

    @property
    def failed(self) -> bool:
        """Whether it is worse by more than the tolerance."""
        return self.worse > TOLERANCE

    def __str__(self) -> str:
        word = "FAILED" if self.failed else "ok"
        change = f"{abs(self.worse):.0%} {'worse' if self.worse > 0 else 'better'}"
        where = f"{self.row.benchmark}, {self.row.case}: against {self.row.subject}"
        return f"{word:6}  {where}: {figure(self.then)} × then, {figure(self.now)} × now, {change}"


def compare(committed: Sequence[Row], measured: Sequence[Row]) -> list[Finding]:
    """The ratios that both have, in the order measured.

    >>> then = [Row("wakeup", "one core", "pyzmq ipc", "µs", "lower", ratio=0.5)]
    >>> now = [Row("wakeup", "one core", "pyzmq ipc", "µs", "lower", ratio=0.8)]
    >>> [finding.failed for finding in compare(then, now)]
    [True]
    """
    then = {row.key: row.ratio for row in committed if row.ratio}
    found = []
    for row in measured:
        before = then.get(row.key)
        if row.ratio and before:
            worse = row.ratio / before - 1.0 if row.better == "lower" else before / row.ratio - 1.0
            found.append(Finding(row, before, row.ratio, worse))
    return found
