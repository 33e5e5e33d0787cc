from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from horus_core.errors import OutputFailed, SchedulerBusy
from horus_core.recording.keeping.repair import repair
from horus_core.recording.reading.file import RecordingFile
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import summarize
from horus_core.recording.writing.writer import FileWriter
from tests.recordings import Recording, cut, file_of, flip, replace_header, rows_of


@pytest.fixture
def session(tmp_path: Path) -> Session:
    recording = Recording(
        {"sensor": ["scan"], "driver": ["cmd"]},
        events=[(0, "", "start", {}), (19, "", "end", {})],
        last_tick=19,
        tick_rate=10.0,
    )
    recording.add("sensor", "scan", [{"v": tick} for tick in range(20)]).add("driver", "cmd", range(20))
    return recording.write(tmp_path / "monday")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_whole_session_is_not_touched(session: Session) -> None:
    before = contents(session.folder)
    report = repair(session)
    assert (report.files, report.untouched, report.lost_messages, report.lost_seconds) == ([], 4, 0, 0.0)
    assert (report.messages, report.ticks) == (40, 20)
    assert contents(session.folder) == before


def test_a_cut_file_becomes_whole_and_keeps_what_reads(session: Session) -> None:
    path = file_of(session, "sensor")
    original = rows_of(session, "sensor")
    cut(path, path.stat().st_size * 2 // 3)
    kept = rows_of(Session(session.folder), "sensor")
    tail = path.read_bytes()
    report = repair(Session(session.folder))
    found = Session(session.folder)
    assert found.state == "complete"
    assert rows_of(found, "sensor") == kept == original[: len(kept)]
    with pa.OSFile(str(path)) as source:
        assert pa.ipc.open_file(source).read_all().num_rows == len(kept)
    (file,) = report.files
    assert (file.path, file.rows, file.first_tick, file.last_tick) == (str(path), len(kept), 0, kept[-1][0])
    (lost,) = file.lost
    assert (lost.first_tick, lost.last_tick, lost.rows) == (kept[-1][0], 19, -1)
    assert lost.ticks == 19 - kept[-1][0]
    assert lost.seconds == pytest.approx((19 - kept[-1][0]) / 10.0)
    assert report.lost_seconds == lost.seconds
    assert (session.folder / lost.saved_as).read_bytes() == tail[-lost.bytes :]
    summary = summarize(found)
    assert summary.repaired
    assert summary.damage == []
    assert report.messages == summary.messages == 20 + len(kept)
    assert summary.incidents[-1].detail["files"] == [path.name]


def test_a_damaged_batch_is_taken_out_and_its_bytes_are_kept(session: Session) -> None:
    path = file_of(session, "sensor")
    place = path.read_bytes().index(b"\x81\xa1v\x09")
    flip(path, (place + 3) * 8)
    report = repair(Session(session.folder))
    (file,) = report.files
    (lost,) = file.lost
    assert (file.rows, lost.first_tick, lost.last_tick, lost.rows, lost.ticks, lost.seconds) == (16, 8, 11, 4, 4, 0.4)
    assert b"\x81\xa1v\x08" in (session.folder / lost.saved_as).read_bytes()
    assert report.lost_messages == 4
    assert [tick for tick, *_ in rows_of(Session(session.folder), "sensor")] == [*range(8), *range(12, 20)]
    assert RecordingFile(path).complete
    assert repair(Session(session.folder)).files == []


def test_a_damaged_header_is_written_anew_and_no_row_is_lost(session: Session) -> None:
    for stem in ("scheduler", "sensor"):
        flip(file_of(session, stem), 700 * 8)
    report = repair(Session(session.folder))
    assert [file.rows for file in report.files] == [40, 20]
    assert (report.messages, report.lost_messages) == (40, 0)
    for path in session.paths():
        assert RecordingFile(path).header.graph == session.graph
    assert summarize(Session(session.folder)).damage == []


def test_a_lost_footer_costs_nothing(session: Session) -> None:
    before = {node: rows_of(session, node) for node in ("sensor", "driver")}
    for path in session.paths():
        cut(path, path.stat().st_size - 3)
    report = repair(Session(session.folder))
    assert len(report.files) == 4
    assert (report.messages, report.lost_messages, report.ticks) == (40, 0, 20)
    assert {node: rows_of(Session(session.folder), node) for node in before} == before


def test_empty_and_missing_files_are_made(session: Session) -> None:
    cut(file_of(session, "driver"), 0)
    file_of(session, "events").unlink()
    report = repair(Session(session.folder))
    assert len(report.files) == 2
    found = Session(session.folder)
    assert found.state == "complete"
    assert [event["event"] for event in found.events()] == ["repair"]
    assert rows_of(found, "driver") == []
    assert report.messages == 20


@pytest.mark.slow
def test_every_cut_of_a_session_can_be_repaired(session: Session) -> None:
    path = file_of(session, "sensor")
    whole, original = path.read_bytes(), rows_of(session, "sensor")
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        repair(Session(session.folder))
        found = Session(session.folder)
        assert found.state == "complete"
        rows = rows_of(found, "sensor")
        assert rows == original[: len(rows)]


def test_compressed_files_stay_compressed(session: Session) -> None:
    header = replace_header(session.header, "node", "sensor")
    path = file_of(session, "sensor")
    batches = list(RecordingFile(path).batches())
    path.unlink()
    writer = FileWriter(session.folder, header, "zstd")
    for batch in batches[1:]:
        ticks = batch.column("tick").to_pylist()
        writer.write(batch, min(ticks), max(ticks))
    writer.close()
    cut(path, path.stat().st_size - 3)
    repair(Session(session.folder))
    assert RecordingFile(path).codec() == "zstd"
    assert len(rows_of(Session(session.folder), "sensor")) == 20


def test_what_is_another_file_is_left_alone(session: Session) -> None:
    sensor = file_of(session, "sensor")
    sensor.write_bytes(file_of(session, "driver").read_bytes())
    (session.folder / "link@0a1b.arrow").symlink_to(sensor)
    before = contents(session.folder)
    report = repair(Session(session.folder))
    assert report.files == []
    assert len(report.left_alone) == 2
    assert contents(session.folder) == before


def test_a_running_session_is_refused(session: Session) -> None:
    writer = FileWriter(session.folder, replace_header(session.header, "scheduler"))
    with pytest.raises(SchedulerBusy, match="cannot repair session 'monday'"):
        repair(Session(session.folder))
    writer.close()


def test_a_full_disk_leaves_the_session_as_it_was(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(session, "sensor")
    cut(path, path.stat().st_size - 100)
    before = contents(session.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileWriter, "close", full)
    with pytest.raises(OutputFailed, match="No space left"):
        repair(Session(session.folder))
    assert contents(session.folder) == before
    assert ".repair" not in os.listdir(session.folder)
