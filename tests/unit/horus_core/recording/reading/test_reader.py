from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from horus_core.errors import RecordingDamaged, RecordingMissing
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.reader import Session
from horus_core.recording.writing.writer import FileWriter, event_batch
from tests.recordings import EPOCH, Recording, cut, file_of, flip, replace_header, rows_of


@pytest.fixture
def session(tmp_path: Path) -> Session:
    recording = Recording(
        {"sensor": ["scan"], "arm/left": ["pose"]}, events=[(0, "", "start", {}), (9, "", "end", {"reason": "stop"})]
    )
    recording.add("sensor", "scan", range(10)).add("arm/left", "pose", range(5))
    return recording.write(tmp_path / "one")


def test_a_closed_session_is_complete(session: Session) -> None:
    assert session.state == "complete"
    assert session.name == "one"
    assert list(session.nodes) == session.senders == ["sensor", "arm/left"]
    assert session.last_tick() == 9
    assert session.first_tick() == 0
    assert [tick for tick, *_ in rows_of(session, "arm/left")] == [0, 1, 2, 3, 4]
    assert [event["event"] for event in session.events()] == ["start", "end"]
    assert session.events()[1]["time"] == EPOCH + 9


def test_a_cut_file_makes_a_session_recovered(session: Session) -> None:
    path = file_of(session, "sensor")
    cut(path, path.stat().st_size - 1)
    assert Session(session.folder).state == "recovered"


def test_a_session_that_is_being_written_reads_up_to_where_it_was_when_opened(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    scheduler = FileWriter(folder, replace_header(session.header, "scheduler"))
    events = FileWriter(folder, replace_header(session.header, "events"))
    events.write(*event_batch([(1, 0, "", "start", {})]))
    found = Session(folder)
    events.write(*event_batch([(2, 5, "", "end", {})]))
    damage: list[Damage] = []
    assert found.state == "running"
    for _ in range(2):
        assert sum(batch.num_rows for batch in found.batches("events", damage)) == 1
    assert damage == []
    assert found.last_tick() == -1
    assert Session(folder).last_tick() == 5
    scheduler.close()
    events.close()
    assert Session(folder).state == "complete"


def test_the_last_tick_of_a_cut_session_is_that_of_its_last_batch(session: Session) -> None:
    (file_of(session, "events")).unlink()
    path = file_of(session, "scheduler")
    cut(path, path.stat().st_size - 1)
    assert Session(session.folder).last_tick() == 9


def test_a_damaged_header_is_replaced_by_that_of_another_file(session: Session) -> None:
    for path in session.paths()[:-1]:
        flip(path, 600 * 8)
    found = Session(session.folder)
    assert found.graph == session.graph
    damage: list[Damage] = []
    assert sum(batch.num_rows for batch in found.batches("sensor", damage)) == 10
    assert len(damage) == 1
    assert "another file's header" in str(damage[0])


def test_swapped_files_are_not_taken_for_each_other(session: Session) -> None:
    sensor, arm = file_of(session, "sensor"), file_of(session, "arm%2Fleft")
    kept = sensor.read_bytes()
    shutil.copy(arm, sensor)
    found = Session(session.folder)
    with pytest.raises(RecordingDamaged, match="arm/left"):
        found.node_files("sensor")
    damage: list[Damage] = []
    assert found.node_files("sensor", damage) == []
    assert "it is the file of 'node arm/left'" in str(damage[0])
    sensor.write_bytes(kept)
    assert len(rows_of(Session(session.folder), "sensor")) == 10


def test_what_is_no_regular_file_is_left_out_and_said(session: Session) -> None:
    os.mkfifo(session.folder / "scheduler@0a1b.7.arrow")
    (session.folder / "sensor@0a1b.3.arrow").symlink_to("/dev/zero")
    (session.folder / "other@ffff.arrow").write_bytes(file_of(session, "sensor").read_bytes())
    found = Session(session.folder)
    assert found.state == "complete"
    assert len(found.damage) == 3
    assert len(rows_of(found, "sensor")) == 10


def test_a_folder_without_a_scheduler_file_is_no_session(session: Session) -> None:
    file_of(session, "scheduler").unlink()
    with pytest.raises(RecordingMissing, match="no scheduler@"):
        Session(session.folder)
    with pytest.raises(RecordingMissing):
        Session(session.folder / "nothing")


def test_a_session_all_of_whose_headers_are_damaged_is_one_clear_error(session: Session) -> None:
    for path in session.paths():
        flip(path, 600 * 8)
    with pytest.raises(RecordingDamaged, match="scheduler@0a1b"):
        Session(session.folder)


def test_messages_from_outside_the_graph_are_found(session: Session) -> None:
    writer = FileWriter(session.folder, replace_header(session.header, "node", "external"))
    writer.close()
    assert Session(session.folder).senders == ["sensor", "arm/left", "external"]


def test_a_ring_without_its_first_part_begins_later(session: Session, tmp_path: Path) -> None:
    for path in session.paths():
        stem, _, rest = path.name.partition(".")
        os.rename(path, session.folder / f"{stem}.4.{rest}")
    found = Session(session.folder)
    assert not found.begins
    assert found.first_tick() == 0
