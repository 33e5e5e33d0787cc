"""The reference job: a sensor and a controller at 100 Hz for 5 seconds, recorded; checked against plain arithmetic."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from horus import Node, Scheduler
from tests.plain_arrow import events, file_of, header, ran, sent, values
from tests.reference_nodes import ctrl_init, ctrl_tick, sensor_init, sensor_tick
from tests.scripts import ROOT, run, write_script

TICKS = 500


def recorded(**options: Any) -> list[str]:
    scheduler = Scheduler(tick_rate=100, recording=True, **options)
    scheduler.add(Node(name="sensor", tick=sensor_tick, init=sensor_init, pubs=["sensor.reading"], rate=100))
    scheduler.add(
        Node(name="controller", tick=ctrl_tick, init=ctrl_init, subs=["sensor.reading"], pubs=["ctrl.cmd"], rate=100)
    )
    scheduler.run(duration=TICKS / 100)
    assert scheduler.current_tick() == TICKS
    return scheduler.stop_recording()


def reading(number: int) -> float:
    return math.sin(number * 0.01 * 2.0) * 10.0 + (5.0 if number % 73 == 0 else 0.0)


def commands(readings: list[float]) -> list[dict[str, float]]:
    """The controller's arithmetic in a plain loop, one reading after the other."""
    integral, found = 0.0, []
    for value in readings:
        error = 0.0 - value
        integral = max(-10.0, min(10.0, integral + error * 0.01))
        found.append({"output": 0.5 * error + 0.1 * integral, "integral": integral})
    return found


def bits(command: dict[str, float]) -> bytes:
    return struct.pack("<dd", command["output"], command["integral"])


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_in_deterministic_mode_every_tick_is_that_of_the_formula(execution: str) -> None:
    files = recorded(deterministic=True, pace=False, execution=execution)
    assert values(files, "sensor") == [(tick, {"value": reading(tick), "tick": tick}) for tick in range(TICKS)]
    expected = commands([reading(tick) for tick in range(TICKS)])
    found = values(files, "controller")
    assert [tick for tick, _ in found] == list(range(TICKS))
    assert [bits(value) for _, value in found] == [bits(value) for value in expected]
    for node in ("sensor", "controller"):
        assert [(row.tick, row.status, row.dropped) for row in ran(files, node)] == [
            (tick, "ok", 0) for tick in range(TICKS)
        ]
    assert [row.received for row in ran(files, "controller")] == [
        ((0, tick, tick + 1, tick + 1),) for tick in range(TICKS)
    ]


def test_in_real_time_it_is_too_but_for_the_misses_that_the_recording_lists() -> None:
    """500 ticks in 5 s. The n-th sample is sent in the n-th tick in which the sensor ran, wherever that was."""
    files = recorded()
    misses = {
        name: [event.tick for event in events(files, "miss") if event.node == name] for name in ("sensor", "controller")
    }
    rows = {name: ran(files, name) for name in ("sensor", "controller")}
    (ended,) = events(files, "end")
    assert ended.tick == TICKS - 1

    sample = 0
    visible: list[tuple[int, float]] = []
    readings = dict(values(files, "sensor"))
    for row in rows["sensor"]:
        assert readings[row.tick] == {"value": reading(sample), "tick": sample}
        visible.append((row.visible, reading(sample)))
        sample += 1
    assert len(readings) == sample

    taken, position = [], 0
    for row in rows["controller"]:
        if position < len(visible) and visible[position][0] <= row.tick:
            taken.append((row.tick, visible[position][1]))
            position += 1
    expected = commands([value for _, value in taken])
    found = values(files, "controller")
    assert [tick for tick, _ in found] == [tick for tick, _ in taken]
    assert [bits(value) for _, value in found] == [bits(value) for value in expected]

    for name, found_rows in rows.items():
        missing = set(range(TICKS)) - {row.tick for row in found_rows}
        late = {row.tick for row in found_rows if row.status == "late"}
        assert late <= set(misses[name])
        if not misses[name]:
            assert not missing
        for tick in missing:  # every gap begins with a miss that the recording lists
            first = max([row.tick for row in found_rows if row.tick < tick], default=-1)
            assert set(range(first, tick + 1)) & set(misses[name]), (name, tick)


def test_the_projects_example_of_it_runs_to_the_end_as_a_script(tmp_path: Path) -> None:
    """With a second instead of five, and ticks 20 to 40 instead of 200 to 400; .ci/run runs it as it is."""
    source = (ROOT / "examples" / "record_replay" / "main.py").read_text()
    for whole, part in (
        ("SECONDS = 5.0", "SECONDS = 1.0"),
        ("start_at_tick(200)", "start_at_tick(20)"),
        ("stop_at_tick(400)", "stop_at_tick(40)"),
    ):
        assert whole in source
        source = source.replace(whole, part)
    script = write_script(tmp_path, source, "main.py")
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    paths = re.findall(r"wrote (\S+\.arrow)", done.stdout)
    assert len(values(paths, "sensor")) == len(sent(paths, "controller")) == 100
    found = header(file_of(paths, "scheduler"))
    assert (found["script"], found["graph"]["tick_rate"]) == (str(script), 100.0)
    kept = Path(file_of(paths, "scheduler")).parent / "source" / "main.py"
    assert kept.read_bytes() == script.read_bytes()
    largest = re.findall(r"largest output (\S+),", done.stdout)
    assert len(largest) == 3, "recorded, in the mixed replay, and in the what-if"
    assert largest[0] == largest[1] != largest[2]
