"""A tick row: what a node's tick leaves behind in a lane of its own, for the recorder and for who looks on.

    started (monotonic ns) | duration (ns) | status | visible | dropped, ever | per input: first, stop, end

Of each lane that the node hears, it received the messages from first to stop - 1, and could have received those up to end - 1.
Durations are counted in a histogram with four buckets per power of two.
"""

from __future__ import annotations

from horus_core.memory.control import BUCKETS

ROW_HEAD, ROW_INPUT = 5, 3  # words of a row, and more of them per input
TRACE_CAPACITY = 512  # rows that a lane of them keeps at least
STATUS_OK, STATUS_LATE, STATUS_ERROR, STATUS_SAFE = range(4)  # places in recording.format.schemas.STATUSES


def bucket_of(duration: int) -> int:
    """The histogram bucket of a duration in ns: four per power of two.

    >>> bucket_of(1000), bucket_of(1200), bucket_of(2000)
    (43, 44, 47)
    """
    bits = duration.bit_length()
    return min(BUCKETS - 1, bits * 4 + (duration >> (bits - 3) & 3)) if bits > 2 else duration


def bucket_start(bucket: int) -> float:
    """The least duration in ns that falls into `bucket`."""
    bits, quarter = divmod(bucket, 4)
    return float(bucket) if bits <= 2 else (4 + quarter) * 2.0 ** (bits - 3)
