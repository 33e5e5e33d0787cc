"""What a replay sends, to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.errors import InvalidValue
from horus_core.recording.reading.reader import Session
from horus_core.replay.playback import Sent, playback
from tests.recordings import Recording


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Recording({"a": ["left", "right"], "b": ["left"]}, last_tick=3)
    made.add("a", "left", [1, 2, 3, 4]).add("a", "right", [10, 20, 30, 40])
    return made.add("b", "left", [-2, -3], first_tick=1).write(tmp_path / "s")


def test_messages_come_by_tick_whoever_sent_them(session: Session) -> None:
    found = list(playback(session, ["left"], 1, 2, []))
    assert found == [
        Sent(1, "a", "left", 2),
        Sent(1, "b", "left", -2),
        Sent(2, "a", "left", 3),
        Sent(2, "b", "left", -3),
    ]


def test_overrides_hold_for_their_node_and_topic(session: Session) -> None:
    found = playback(
        session, ["left", "right"], 0, 1, [], {("a", "left"): b"\x00", ("a", "right"): lambda value: value + 1}
    )
    assert [(each.node, each.value) for each in found] == [
        ("a", b"\x00"),
        ("a", 11),
        ("a", b"\x00"),
        ("a", 21),
        ("b", -2),
    ]


def test_a_topic_that_nobody_sends_is_refused(session: Session) -> None:
    with pytest.raises(InvalidValue, match="did you mean 'right'"):
        playback(session, ["rigt"], 0, 9, [])
