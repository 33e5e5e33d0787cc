"""What is missing of a session is counted from what all of its files tell, before and after a repair."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import horus
from horus import Node, Scheduler
from horus_core.recording.compare import compare
from horus_core.recording.keeping.edit import merge, trim
from horus_core.recording.keeping.repair import repair
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import SessionSummary, overview, summarize
from tests.recordings import Message, Recording, Tick, cut, file_of, flip, rows_of

TICKS = 40


def recording(sent: dict[str, dict[str, int]] | None = None, **changes: object) -> Recording:
    """Node a sends x in each tick, which b receives in the same tick; b sends y, which nobody receives."""
    ticks = [
        Tick(tick, node, received=[(0, tick, tick + 1, tick + 1)] if node == "b" else [])
        for tick in range(TICKS)
        for node in ("a", "b")
    ]
    events = [(0, "", "start", {}), (TICKS - 1, "", "end", {})]
    events += [(TICKS - 1, "", "sent", {"messages": sent})] if sent is not None else []
    made = Recording({"a": ["x"], "b": ["y"]}, ticks=ticks, events=events, last_tick=TICKS - 1, **changes)  # type: ignore[arg-type]
    return made.add("a", "x", range(TICKS)).add("b", "y", range(TICKS))


SENT = {"a": {"x": TICKS}, "b": {"y": TICKS}}


def halve(session: Session, node: str) -> Session:
    path = file_of(session, node)
    cut(path, path.stat().st_size // 2)
    return Session(session.folder)


def before_and_after_a_repair(session: Session) -> list[SessionSummary]:
    before = summarize(session)
    repair(session)
    return [before, summarize(Session(session.folder))]


@pytest.mark.parametrize("node", ["a", "b"])
def test_a_cut_file_lacks_what_the_recorder_says_was_sent(tmp_path: Path, node: str) -> None:
    session = halve(recording(SENT).write(tmp_path / "s"), node)
    there = len(rows_of(session, node))
    assert 0 < there < TICKS
    for found in before_and_after_a_repair(session):
        (loss,) = found.losses
        assert (loss.node, loss.messages, loss.counted) == (node, TICKS - there, True)
        assert (found.messages, found.lost, found.counted) == (TICKS + there, TICKS - there, True)
        assert found.loss == f"lost {TICKS - there} of {2 * TICKS} messages"
        assert found.state != "complete"


def test_without_that_what_others_received_is_counted_and_the_rest_is_said(tmp_path: Path) -> None:
    session = halve(recording().write(tmp_path / "s"), "a")
    there = len(rows_of(session, "a"))
    for found in before_and_after_a_repair(session):
        assert [(each.node, each.messages, each.counted) for each in found.losses] == [("a", TICKS - there, False)]
        assert found.loss.startswith(f"lost at least {TICKS - there} of")
        assert found.state != "complete"


def test_what_nobody_received_and_nobody_counted_is_never_called_0(tmp_path: Path) -> None:
    session = recording(batch=1).write(tmp_path / "s")
    path = file_of(session, "b")
    cut(path, path.read_bytes().index(b"ARROW1", 8) // 2)
    there = len(rows_of(Session(session.folder), "b"))
    for found in before_and_after_a_repair(Session(session.folder)):
        (loss,) = found.losses
        assert (loss.node, loss.counted) == ("b", False)
        assert loss.messages <= TICKS - there
        assert not found.counted
        assert "lost 0" not in found.loss
        assert found.state != "complete"


def test_a_damaged_batch_costs_the_rows_that_its_mark_says(tmp_path: Path) -> None:
    session = recording(batch=TICKS * 2).write(tmp_path / "s")
    path = file_of(session, "b")
    data = path.read_bytes()
    flip(path, (data.rindex(bytes([30, 31, 32, 33])) + 1) * 8)
    assert rows_of(Session(session.folder), "b") == []
    for found in before_and_after_a_repair(Session(session.folder)):
        assert (found.messages, found.lost, found.counted) == (TICKS, TICKS, True)
        assert [(each.node, each.messages) for each in found.losses] == [("b", TICKS)]


def test_a_batch_that_is_cut_costs_at_least_its_rows(tmp_path: Path) -> None:
    session = recording(batch=TICKS).write(tmp_path / "s")
    path = file_of(session, "b")
    cut(path, path.read_bytes().rindex(bytes([20, 21, 22, 23])))
    for found in before_and_after_a_repair(Session(session.folder)):
        assert (found.messages, found.lost, found.counted) == (TICKS, TICKS, False)


@pytest.mark.parametrize("sent", [SENT, None])
def test_a_file_that_is_gone_is_missed(tmp_path: Path, sent: dict[str, dict[str, int]] | None) -> None:
    session = recording(sent).write(tmp_path / "s")
    file_of(session, "b").unlink()
    session = Session(session.folder)
    assert [Path(each.path).name for each in session.damage] == ["b@0a1b.arrow"]
    assert overview(session).state == "partial"
    for found in before_and_after_a_repair(session):
        (loss,) = found.losses
        assert (loss.node, loss.messages, loss.counted) == ("b", TICKS if sent else 0, bool(sent))
        assert found.state == "partial"
        assert "lost 0" not in found.loss
    assert overview(Session(session.folder)).state == "partial"


def test_the_file_of_another_session_is_not_taken_for_ours(tmp_path: Path) -> None:
    session = recording(SENT).write(tmp_path / "s")
    other = recording(SENT, id="ffff").write(tmp_path / "other")
    shutil.copy(file_of(other, "b"), file_of(session, "b"))
    found = summarize(Session(session.folder))
    assert (found.messages, found.lost, found.state) == (TICKS, TICKS, "partial")
    assert "another session" in found.damage[0]
    assert overview(Session(session.folder)).state == "partial"


def test_a_lane_that_is_read_on_counts_what_lies_between(tmp_path: Path) -> None:
    made = recording()
    made.messages["b"] = [Message(tick, "y", tick, sequence=tick) for tick in range(TICKS) if not 8 <= tick < 12]
    found = summarize(made.write(tmp_path / "s"))
    assert [(each.node, each.messages, each.counted) for each in found.losses] == [("b", 4, True)]
    assert (found.state, found.loss) == ("partial", f"lost 4 of {2 * TICKS} messages")


@pytest.mark.parametrize("sent", [SENT, None])
def test_a_whole_session_is_complete(tmp_path: Path, sent: dict[str, dict[str, int]] | None) -> None:
    session = recording(sent).write(tmp_path / "s")
    found = summarize(session)
    assert (found.state, found.losses, found.loss) == ("complete", [], f"lost 0 of {2 * TICKS} messages")
    assert (overview(session).state, overview(session).lost) == ("complete", {})


def test_a_session_whose_end_nobody_wrote_is_not_complete_when_it_is_repaired(tmp_path: Path) -> None:
    made = recording()
    made.events.pop()
    session = made.write(tmp_path / "s")
    for path in session.paths():
        cut(path, path.stat().st_size - 20)
    for found in before_and_after_a_repair(Session(session.folder)):
        assert found.messages == 2 * TICKS
        assert not found.counted
        assert "not counted" in found.loss
        assert found.state != "complete"
    assert overview(Session(session.folder)).state == "partial"


def test_a_listing_tells_what_a_repair_found(tmp_path: Path) -> None:
    session = halve(recording(SENT).write(tmp_path / "s"), "b")
    there = len(rows_of(session, "b"))
    repair(session)
    found = overview(Session(session.folder))
    assert (found.state, found.lost) == ("partial", {"b": TICKS - there})


def test_a_long_listing_counts_the_rows(tmp_path: Path) -> None:
    made = recording(SENT)
    del made.messages["b"][30:]
    session = made.write(tmp_path / "s")
    found = overview(session, count_messages=True)
    assert (found.state, found.lost, found.messages) == ("partial", {"b": 10}, TICKS + 30)


def test_a_comparison_tells_what_each_side_lacks(tmp_path: Path) -> None:
    whole = recording(SENT).write(tmp_path / "whole")
    broken = halve(recording(SENT).write(tmp_path / "broken"), "b")
    found = compare(whole, broken)
    assert found.lost_a == []
    assert [(each.node, each.messages) for each in found.lost_b] == [("b", TICKS - len(rows_of(broken, "b")))]
    assert compare(whole, broken, nodes=["a"]).lost_b == []


def test_a_trimmed_session_lacks_nothing_by_being_trimmed(recordings: Path) -> None:
    session = recording(SENT).write(recordings / "s")
    trim(session, "late", 10)
    found = summarize(Session(recordings / "late"))
    assert (found.state, found.messages, found.lost) == ("complete", 60, 0)
    halve(Session(recordings / "late"), "b")
    there = len(rows_of(Session(recordings / "late"), "b"))
    for found in before_and_after_a_repair(Session(recordings / "late")):
        assert [(each.node, each.messages) for each in found.losses] == [("b", 30 - there)]


def test_what_is_made_of_a_session_that_lacks_messages_is_not_complete(recordings: Path) -> None:
    session = halve(recording(SENT).write(recordings / "s"), "b")
    other = Recording({"c": ["z"]}, id="cc").add("c", "z", range(5)).write(recordings / "other")
    trim(session, "part", 0, 38)
    merge(session, other, "both")
    for name in ("part", "both"):
        made = Session(recordings / name)
        assert [each.node for each in summarize(made).losses] == ["b"]
        assert summarize(made).state == overview(made).state == "partial"
        assert "lost 0" not in summarize(made).loss
    trim(Session(recordings / "part"), "again", 0, 38)
    assert summarize(Session(recordings / "again")).state == "partial"


def _send(node: Node) -> None:
    node.send("x", horus.tick())
    if horus.tick() < 5:
        node.send("rare", 1)


@pytest.fixture
def recorded(recordings: Path) -> Callable[[str], Session]:
    def make(name: str) -> Session:
        scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution="inline", recording=name)
        scheduler.add(Node(name="a", tick=_send, rate=100, pubs=["x", "rare"]))
        scheduler.run(duration=0.5)
        return Session(recordings / name)

    return make


def test_the_recorder_says_at_the_end_how_many_messages_there_were(recorded: Callable[[str], Session]) -> None:
    session = recorded("s")
    assert summarize(session).loss == "lost 0 of 55 messages"
    os.truncate(file_of(session, "a"), 0)
    found = summarize(Session(session.folder))
    assert (found.messages, found.lost, found.counted) == (0, 55, True)
    assert {each.topic: each.lost for each in found.topics} == {"x": 50, "rare": 5}
