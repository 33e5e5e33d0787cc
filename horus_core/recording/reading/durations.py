"""How long things took: percentiles of any number of durations in constant memory."""

from __future__ import annotations

import math

import numpy as np

_EXACT_BITS = 9  # durations below 2**9 ns are kept exactly, others to 8 bits: within 0.4 %
_STEPS = 1 << (_EXACT_BITS - 1)


class Durations:
    """A histogram of durations in ns, with steps of at most 0.4 %. The largest is exact.

    >>> durations = Durations()
    >>> durations.add(np.arange(1, 101))
    >>> durations.percentile(50), durations.percentile(99), durations.largest
    (50, 99, 100)
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS * (66 - _EXACT_BITS), dtype=np.int64)
        self.largest = 0
        self.count = 0

    def add(self, durations: np.ndarray) -> None:
        """Counts durations in ns; a negative one counts as 0."""
        if not len(durations):
            return
        durations = np.maximum(durations, 0)
        bits = np.frexp(durations.astype(np.float64))[1]
        shift = np.maximum(bits - _EXACT_BITS, 0)
        self._counts += np.bincount(shift * _STEPS + (durations >> shift), minlength=len(self._counts))
        self.largest = max(self.largest, int(durations.max()))
        self.count += len(durations)

    def percentile(self, percent: float) -> int:
        """The duration that `percent` of all do not exceed; 0 if there are none."""
        if not self.count:
            return 0
        rank = max(math.ceil(self.count * percent / 100), 1)
        step = int(np.searchsorted(np.cumsum(self._counts), rank))
        shift = max(step // _STEPS - 1, 0)
        middle = (1 << shift) // 2
        return min(((step - shift * _STEPS) << shift) + middle, self.largest)
