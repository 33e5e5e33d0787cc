from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from horus_core.errors import (
    InvalidValue,
    OutputFailed,
    RecordingExists,
    ReplayRange,
    SchedulerBusy,
    SessionsConflict,
    UnknownNode,
)
from horus_core.recording.compare import compare
from horus_core.recording.format.header import LaneRecord
from horus_core.recording.keeping.edit import merge, rename, tick_at, trim
from horus_core.recording.keeping.sessions import find_session, session_names
from horus_core.recording.reading.file import RecordingFile
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import summarize
from horus_core.recording.reading.ticks import tick_range
from horus_core.recording.writing.writer import FileWriter
from tests.recordings import Message, Recording, Tick, cut, file_of, message_batch_of, replace_header, rows_of


@pytest.fixture
def session(recordings: Path) -> Session:
    recording = Recording(
        {"sensor": ["scan"], "driver": ["cmd"]},
        ticks=[
            Tick(tick, node, received=[(0, tick, tick + 1, tick + 1)] if node == "driver" else [])
            for tick in range(20)
            for node in ("sensor", "driver")
        ],
        events=[(0, "", "start", {}), (7, "driver", "miss", {}), (19, "", "end", {})],
    )
    recording.add("sensor", "scan", [{"v": tick} for tick in range(20)]).add("driver", "cmd", range(20))
    found = recording.write(recordings / "monday")
    (found.folder / "source").mkdir()
    (found.folder / "source" / "main.py").write_text("print()")
    (found.folder / "source" / "link").symlink_to("/etc/passwd")
    return found


def test_a_trimmed_session_holds_the_ticks_asked_for(session: Session) -> None:
    report = trim(session, "bug", 5, 12)
    found = find_session("bug")
    assert report.folder == str(found.folder)
    assert (report.session, report.first_tick, report.last_tick, report.messages, report.damage) == (
        "bug",
        5,
        12,
        16,
        [],
    )
    assert rows_of(found, "sensor") == [row for row in rows_of(session, "sensor") if 5 <= row[0] <= 12]
    summary = summarize(found)
    assert (summary.state, summary.first_tick, summary.last_tick, summary.ticks) == ("complete", 5, 12, 8)
    assert (summary.messages, summary.lost, summary.damage) == (16, 0, [])
    assert [node.ticks for node in summary.nodes] == [8, 8]
    assert summary.events == {"miss": 1, "trim": 1, "end": 1}
    assert os.listdir(found.folder / "source") == ["main.py"]
    assert found.header.id != session.header.id
    assert compare(session, found, start_tick=5, stop_tick=12).equal
    assert sorted(os.listdir(found.folder.parent)) == ["bug", "monday"]


def test_without_bounds_all_is_kept(session: Session) -> None:
    trim(session, "copy")
    assert compare(session, find_session("copy")).equal


def test_a_trimmed_session_holds_the_nodes_asked_for(session: Session) -> None:
    trim(session, "small", 5, 12, nodes=["dri*"])
    found = find_session("small")
    assert list(found.nodes) == ["driver"]
    assert rows_of(found, "driver") == [row for row in rows_of(session, "driver") if 5 <= row[0] <= 12]
    assert not found.has_file("sensor")
    summary = summarize(found)
    assert (summary.messages, summary.lost, summary.not_recorded, summary.damage) == (8, 0, ["scan"], [])
    assert [(node.name, node.ticks) for node in summary.nodes] == [("driver", 8)]
    assert summary.events == {"miss": 1, "trim": 1, "end": 1}


def test_topics_that_were_left_out_are_neither_lost_nor_a_difference(session: Session) -> None:
    trim(session, "small", topics=["c?d"])
    found = find_session("small")
    assert rows_of(found, "sensor") == []
    assert rows_of(found, "driver") == rows_of(session, "driver")
    summary = summarize(found)
    assert (summary.messages, summary.lost, summary.not_recorded) == (20, 0, ["scan"])
    assert [node.ticks for node in summary.nodes] == [20, 20]
    compared = compare(session, found)
    assert (compared.equal, compared.not_compared) == (True, ["scan"])
    assert [topic.topic for topic in compared.topics] == ["cmd"]


def test_nodes_and_topics_that_are_not_there_are_refused(session: Session) -> None:
    with pytest.raises(UnknownNode, match=r"no node 'drover'.*did you mean 'driver'"):
        trim(session, "bug", nodes=["drover"])
    with pytest.raises(InvalidValue, match="'x\\*'"):
        trim(session, "bug", topics=["x*"])
    assert session_names() == ["monday"]


def test_times_are_of_the_graph(session: Session) -> None:
    assert [tick_at(session, seconds) for seconds in (0, 0.07, 0.071, 0.3, 0.1 + 0.2)] == [0, 7, 8, 30, 30]
    assert [tick_at(session, seconds, last=True) for seconds in (0, 0.07, 0.079, 0.1 + 0.2)] == [0, 7, 7, 30]


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 20), (7, 6), (30, 40)])
def test_ticks_that_are_not_there_are_refused(session: Session, start: int, stop: int) -> None:
    with pytest.raises(ReplayRange, match="the recording holds ticks 0 to 19"):
        trim(session, "bug", start, stop)
    assert session_names() == ["monday"]


def test_a_name_that_is_taken_or_no_name_is_refused(session: Session) -> None:
    with pytest.raises(RecordingExists):
        trim(session, "monday", 1, 2)
    with pytest.raises(InvalidValue):
        trim(session, "../x", 1, 2)
    assert find_session("monday").last_tick() == 19


def test_what_cannot_be_read_is_not_in_the_trimmed_session_and_said(session: Session) -> None:
    path = file_of(session, "sensor")
    cut(path, path.stat().st_size // 2)
    report = trim(Session(session.folder), "bug")
    assert len(report.damage) == 1
    assert report.messages == 20 + len(rows_of(Session(session.folder), "sensor"))
    assert find_session("bug").state == "complete"


def test_a_trim_that_fails_leaves_nothing_behind(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileWriter, "write", full)
    with pytest.raises(OutputFailed, match="No space left"):
        trim(session, "bug", 1, 2)
    assert os.listdir(session.folder.parent) == ["monday"]


def other(recordings: Path, rate: float = 100.0, kind: str = "") -> Session:
    recording = Recording(
        {"camera": ["image"], "logger": []},
        ticks=[
            Tick(tick, node, received=[(0, tick, tick + 1, tick + 1)])
            for tick in range(3, 25)
            for node in ("camera", "logger")
        ],
        tick_rate=rate,
        batch=3,
        id="ffff",
        types={"image": kind},
    )
    return recording.add("camera", "image", [{"w": tick} for tick in range(10)], first_tick=3).write(
        recordings / "camera"
    )


def test_a_merged_session_has_the_nodes_of_both(session: Session, recordings: Path) -> None:
    camera = other(recordings)
    report = merge(session, camera, "both")
    found = find_session("both")
    assert (report.first_tick, report.last_tick, report.messages, report.damage) == (0, 24, 50, [])
    assert list(found.nodes) == ["sensor", "driver", "camera", "logger"]
    assert [(lane.node, lane.topic) for lane in found.graph.lanes] == [
        ("sensor", "scan"),
        ("driver", "cmd"),
        ("camera", "image"),
    ]
    for part, nodes in ((session, ["sensor", "driver"]), (camera, ["camera", "logger"])):
        assert compare(part, found, nodes=nodes).equal
    summary = summarize(found)
    assert (summary.damage, summary.lost, summary.ticks) == ([], 15, 25)
    assert [hole.topic for hole in summary.holes] == ["image"], "lane 0 of the second is lane 2 now"
    assert [node.ticks for node in summary.nodes] == [20, 20, 22, 22]


def test_sessions_that_do_not_go_together_are_refused(session: Session, recordings: Path) -> None:
    with pytest.raises(SessionsConflict, match="both have 'driver', 'sensor'"):
        merge(session, session, "both")
    with pytest.raises(SessionsConflict, match="100 and 50 Hz"):
        merge(session, other(recordings, rate=50.0), "both")
    assert session_names() == ["camera", "monday"]


def with_outside(folder: Path, node: str, topic: str, id: str, outside: list[int]) -> Session:
    """A session of one node that also has a lane for messages from outside on its topic."""
    recording = Recording({node: [topic]}, id=id).add(node, topic, range(10))
    session = recording.write(folder)
    graph = msgspec.structs.replace(session.graph, lanes=[*session.graph.lanes, LaneRecord(topic, "external")])
    header = msgspec.structs.replace(session.header, graph=graph)
    for path in session.paths():
        file = RecordingFile(path)
        batches = [batch for batch in file.batches() if batch.num_rows]
        writer = FileWriter(folder, replace_header(header, file.header.kind, file.header.node))
        for batch in batches:
            writer.write(batch, *tick_range(batch))
        writer.close()
    writer = FileWriter(folder, replace_header(header, "node", "external"))
    if outside:
        messages = [Message(tick, topic, tick, sequence=place) for place, tick in enumerate(outside)]
        writer.write(*message_batch_of(messages, "external", [topic]))
    writer.close()
    return Session(folder)


def test_messages_from_outside_go_along_if_one_session_only_has_them(recordings: Path) -> None:
    a = with_outside(recordings / "a", "n", "t", "aa", [])
    b = with_outside(recordings / "b", "m", "u", "bb", [3, 4])
    merge(a, b, "both")
    found = find_session("both")
    assert [row[:3] for row in rows_of(found, "external")] == [(3, "u", 0), (4, "u", 1)]
    assert summarize(found).damage == []
    assert compare(b, found, nodes=["m", "external"]).equal


def test_sessions_that_both_hold_messages_from_outside_are_refused(recordings: Path) -> None:
    a = with_outside(recordings / "a", "n", "t", "aa", [1])
    b = with_outside(recordings / "b", "m", "u", "bb", [3, 4])
    with pytest.raises(SessionsConflict, match="external"):
        merge(a, b, "both")


def test_a_renamed_session_is_found_under_its_new_name(session: Session) -> None:
    folder = rename(session, "tuesday")
    assert session_names() == ["tuesday"]
    assert find_session("tuesday").folder == folder
    with pytest.raises(RecordingExists):
        rename(find_session("tuesday"), "tuesday")
    with pytest.raises(InvalidValue):
        rename(find_session("tuesday"), "a/b")


def test_running_sessions_are_refused(session: Session) -> None:
    writer = FileWriter(session.folder, replace_header(session.header, "scheduler"))
    running = Session(session.folder)
    for verb, call in (
        ("trim", lambda: trim(running, "x")),
        ("merge", lambda: merge(running, running, "x")),
        ("rename", lambda: rename(running, "x")),
    ):
        with pytest.raises(SchedulerBusy, match=f"cannot {verb} session 'monday'"):
            call()
    writer.close()
