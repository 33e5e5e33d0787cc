from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from horus_core.recording.reading.loss import LaneCount
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import overview, summarize
from horus_core.recording.writing.writer import FileWriter, event_batch
from tests.recordings import EPOCH, Message, Recording, Tick, cut, file_of, flip, replace_header


@pytest.fixture
def session(tmp_path: Path) -> Session:
    recording = Recording(
        {"sensor": ["scan", "status"], "driver": ["cmd"]},
        tick_rate=50.0,
        types={"scan": "Scan"},
        events=[
            (0, "", "start", {"nodes": ["sensor", "driver"]}),
            (4, "driver", "miss", {"deadline": 0.01}),
            (5, "driver", "miss", {"deadline": 0.01}),
            (6, "driver", "crash", {"reason": "signal 9"}),
            (7, "driver", "restart", {}),
            (8, "", "gap", {"first": 8, "last": 8, "messages": 3}),
            (9, "", "end", {"reason": "stop"}),
        ],
        ticks=[
            Tick(
                tick,
                node,
                duration=1000 * (tick + 1),
                status=status,
                received=[(0, tick, tick + 1, tick + 1)],
                dropped=tick,
            )
            for tick in range(10)
            for node, status in (
                ("sensor", "ok"),
                ("driver", "late" if tick in (4, 5) else "error" if tick == 6 else "ok"),
            )
        ],
        header={"script": "/robot/main.py", "script_sha256": "ab" * 32, "host": "pi", "versions": {"python": "3.11.7"}},
    )
    recording.add("sensor", "scan", [{"v": 0.5}] * 10).add("sensor", "status", ["ok"] * 4).add(
        "driver", "cmd", [1] * 10
    )
    return recording.write(tmp_path / "monday")


def test_a_summary_counts_what_was_recorded(session: Session) -> None:
    found = summarize(session)
    assert (found.name, found.state, found.ticks, found.duration) == ("monday", "complete", 10, 10 / 50.0)
    assert (found.first_tick, found.last_tick, found.tick_rate) == (0, 9, 50.0)
    assert found.created == "2023-11-14T22:13:20+00:00"
    assert found.size == sum(path.stat().st_size for path in session.folder.iterdir())
    assert (found.messages, found.lost, found.holes) == (24, 0, [])
    assert found.loss == "lost 0 of 24 messages"
    assert (found.script, found.script_sha256, found.host) == ("/robot/main.py", "ab" * 32, "pi")
    assert found.versions == {"python": "3.11.7"}
    assert found.damage == []
    assert not found.repaired


def test_a_summary_tells_of_each_node(session: Session) -> None:
    sensor, driver = summarize(session).nodes
    assert (sensor.name, sensor.rate, sensor.ticks, sensor.late, sensor.errors) == ("sensor", 50.0, 10, 0, 0)
    assert (driver.ticks, driver.late, driver.errors, driver.dropped) == (10, 2, 1, 9)
    assert driver.busy_p50 == pytest.approx(5000, rel=0.004)
    assert driver.busy_p99 == pytest.approx(10_000, rel=0.004)
    assert driver.busy_max == 10_000
    assert (sensor.messages, sensor.bytes) == (14, 10 * len(b"\x81\xa1v\xcb12345678") + 4 * len(b"\xa2ok"))
    assert driver.events == {"miss": 2, "crash": 1, "restart": 1}


def test_a_summary_tells_of_each_topic(session: Session) -> None:
    scan, status, cmd = summarize(session).topics
    assert (scan.topic, scan.node, scan.type, scan.messages, scan.rate) == ("scan", "sensor", "Scan", 10, 50.0)
    assert (status.topic, status.messages, status.rate) == ("status", 4, 20.0)
    assert (cmd.topic, cmd.node, cmd.bytes, cmd.lost) == ("cmd", "driver", 10, 0)


def test_incidents_are_listed_and_ordinary_events_counted(session: Session) -> None:
    found = summarize(session)
    assert found.events == {"start": 1, "miss": 2, "crash": 1, "restart": 1, "gap": 1, "end": 1}
    assert [(each.tick, each.node, each.event) for each in found.incidents] == [
        (6, "driver", "crash"),
        (7, "driver", "restart"),
        (8, "", "gap"),
    ]
    assert found.incidents[0].detail == {"reason": "signal 9"}
    assert found.incidents[0].time == EPOCH + 6


def test_a_summary_is_json(session: Session) -> None:
    found = summarize(session)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_missing_messages_are_counted_with_where(tmp_path: Path) -> None:
    recording = Recording({"n": ["a", "b"]}, ticks=[Tick(tick, "n", received=[(1, 0, 9, 9)]) for tick in range(10)])
    recording.messages["n"] = [
        Message(1, "a", 0, sequence=1),
        Message(2, "a", 0, sequence=2),
        Message(7, "a", 0, sequence=7),
        *[Message(8, "b", 0, sequence=each) for each in range(6)],
    ]
    found = summarize(recording.write(tmp_path / "s"))
    assert found.loss == "lost 8 of 17 messages"
    assert [(each.topic, each.first, each.stop, each.after_tick, each.before_tick) for each in found.holes] == [
        ("a", 0, 1, -1, 1),
        ("a", 3, 7, 2, 7),
        ("b", 6, 9, 8, -1),
    ]
    assert [(each.topic, each.lost) for each in found.topics] == [("a", 5), ("b", 3)]


def test_a_damaged_batch_shows_as_damage_and_as_missing_messages(session: Session) -> None:
    path = file_of(session, "sensor")
    place = path.read_bytes().rindex(b"\x81\xa1v\xcb")
    flip(path, (place + 5) * 8)
    found = summarize(Session(session.folder))
    assert len(found.damage) == 1
    assert "in ticks" in found.damage[0]
    assert found.lost > 0
    assert found.messages + found.lost == 24


def test_a_cut_file_shows_its_missing_messages_by_what_others_received(session: Session) -> None:
    path = file_of(session, "sensor")
    cut(path, path.stat().st_size // 2)
    found = summarize(Session(session.folder))
    assert found.state == "recovered"
    scan = found.topics[0]
    assert scan.messages + scan.lost == 10
    assert scan.lost > 0


def test_what_a_ring_or_a_trim_left_out_is_not_missing() -> None:
    lane = LaneCount("t", "n", from_start=False)
    lane.add(np.array([70, 71, 73]), np.array([7, 7, 8]), 3)
    lane.end(74)
    assert (lane.messages, lane.lost) == (3, 1)
    assert (lane.holes[0].first, lane.holes[0].messages) == (72, 1)


def test_an_overview_agrees_with_the_summary(session: Session) -> None:
    line, found = overview(session, count_messages=True), summarize(session)
    assert (line.name, line.state, line.created_ns) == (found.name, found.state, found.created_ns)
    assert (line.ticks, line.duration, line.size, line.messages) == (
        found.ticks,
        found.duration,
        found.size,
        found.messages,
    )
    assert line.nodes == ["sensor", "driver"]
    assert line.parts == 1
    assert overview(session).messages is None


def test_an_empty_session_has_no_ticks_and_no_rates(tmp_path: Path) -> None:
    found = summarize(Recording({"n": ["t"]}, ticks=[]).write(tmp_path / "s"))
    assert (found.ticks, found.duration, found.messages, found.lost) == (0, 0.0, 0, 0)
    assert found.topics[0].rate == 0.0
    assert found.nodes[0].busy_max == 0


def test_details_that_are_no_json_are_shown_as_they_are(tmp_path: Path) -> None:
    session = Recording({"n": ["t"]}).write(tmp_path / "s")
    writer = FileWriter(session.folder, replace_header(session.header, "events"))
    batch, first, last = event_batch([(1, 0, "n", "crash", {})])
    columns = [*batch.columns[:4], pa.array(["[" * 5000])]
    writer.write(pa.RecordBatch.from_arrays(columns, schema=batch.schema), first, last)
    writer.close()
    assert summarize(Session(session.folder)).incidents[0].detail == "[" * 5000
