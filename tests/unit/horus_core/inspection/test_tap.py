"""What flows over a topic, as an observer measures it; and that it cannot write into what it looks at."""

from __future__ import annotations

import pytest

from horus_core.inspection.tap import Flow, Message
from horus_core.memory.shared import SharedMemory


def messages(*times_ms: float, size: int = 100) -> list[Message]:
    return [
        Message(topic="scan", node="sensor", tick=0, time_ns=round(time * 1e6), size=size + index)
        for index, time in enumerate(times_ms)
    ]


def test_rate_periods_and_bytes() -> None:
    flow = Flow(window=10.0)
    flow.add(messages(0, 10))
    flow.add(messages(40, 50, size=200))
    measure = flow.measured()
    assert (measure.messages, measure.seconds) == (4, pytest.approx(0.05))
    assert measure.rate_hz == pytest.approx(60)
    assert (measure.period_min_ms, measure.period_max_ms) == (pytest.approx(10), pytest.approx(30))
    assert measure.period_mean_ms == pytest.approx(50 / 3)
    # Periods of 10, 30 and 10 ms.
    assert measure.period_deviation_ms == pytest.approx(((2 * (10 - 50 / 3) ** 2 + (30 - 50 / 3) ** 2) / 3) ** 0.5)
    assert (measure.size_min, measure.size_max, measure.size_mean) == (
        100,
        201,
        pytest.approx((100 + 101 + 200 + 201) / 4),
    )
    assert measure.bytes_per_second == pytest.approx((101 + 200 + 201) / 0.05)


def test_only_the_window_counts() -> None:
    flow = Flow(window=0.1)
    flow.add(messages(0, 10, 1000, 1050, 1100))
    assert flow.measured().messages == 3
    assert flow.measured().rate_hz == pytest.approx(20)


def test_one_message_has_no_rate() -> None:
    flow = Flow(window=1.0)
    assert flow.measured().messages == 0
    flow.add(messages(5))
    measure = flow.measured()
    assert (measure.messages, measure.rate_hz, measure.bytes_per_second, measure.size_mean) == (1, None, None, 100)


def test_who_only_looks_cannot_write() -> None:
    memory = SharedMemory.new()
    try:
        written = memory.create("0.0", 64).cast("q")
        looked = SharedMemory(memory.graph, read_only=True).open("0.0").cast("q")
        written[3] = 7
        assert looked[3] == 7
        with pytest.raises(TypeError, match="read-only"):
            looked[3] = 8
    finally:
        memory.remove("0.0")
