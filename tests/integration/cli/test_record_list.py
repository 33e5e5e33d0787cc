"""``horus record list`` and ``info``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from horus_core.recording.keeping.listing import Listing
from horus_core.recording.reading.summary import SessionSummary
from tests.horus_command import ENDLESS, Here, horus, lines_of, refused, script, started, wait_for
from tests.recordings import Recording


def two_nodes(**changes: object) -> Recording:
    """Ten ticks at 100 Hz: a sensor sends a number in each, a driver in every second."""
    made = Recording({"sensor": ["scan"], "driver": ["speed"]}, **changes)  # type: ignore[arg-type]
    made.add("sensor", "scan", [{"x": tick * 0.5} for tick in range(10)])
    for tick in range(0, 10, 2):
        made.add("driver", "speed", [tick], first_tick=tick)
    return made


def test_without_sessions_it_says_where_it_looked(recordings: Path, here: Here) -> None:
    assert f"no sessions in {recordings}" in here.horus("record", "list").out
    assert here.horus("record", "list", "--json").json(Listing).sessions == []


def test_the_oldest_session_comes_first(recordings: Path) -> None:
    two_nodes(created_ns=1_700_000_100_000_000_000).write(recordings / "a")
    two_nodes(created_ns=1_700_000_000_000_000_000).write(recordings / "b")
    heading, *rows = lines_of(horus("record", "list").out)
    assert heading == ["session", "recorded", "duration", "ticks", "nodes", "size", "state"]
    assert [(row[0], row[3], row[4], row[6]) for row in rows] == [
        ("b", "10", "2", "complete"),
        ("a", "10", "2", "complete"),
    ]


def test_sessions_are_filtered_and_sorted(recordings: Path, here: Here) -> None:
    old, new = 1_600_000_000, 1_700_000_000  # 2020-09-13, 2023-11-14
    two_nodes(created_ns=old * 10**9).write(recordings / "old_and_large")
    (recordings / "old_and_large" / "logs").mkdir()
    (recordings / "old_and_large" / "logs" / "sensor.log").write_text("x" * 300_000)
    two_nodes(created_ns=new * 10**9, events=[(9, "", "end", {"reason": "stop"})]).write(recordings / "new")
    two_nodes(created_ns=(new + 1) * 10**9, events=[(9, "", "end", {"reason": "failure"})]).write(recordings / "failed")
    two_nodes(created_ns=(new + 2) * 10**9, events=[(0, "", "start", {})]).write(recordings / "killed")

    def names(*options: str) -> list[str]:
        return [row[0] for row in lines_of(here.horus("record", "list", *options).out)[1:]]

    assert names() == ["old_and_large", "new", "failed", "killed"]
    assert names("--failed") == ["failed", "killed"]
    assert names("--since", "2022-01-01") == ["new", "failed", "killed"]
    assert names("--since", "1h") == []
    assert names("--since", "20000d", "--sort", "name") == ["failed", "killed", "new", "old_and_large"]
    assert names("--larger", "0.2") == ["old_and_large"]
    assert names("--sort", "size")[0] == "old_and_large"
    assert "complete, failed" in here.horus("record", "list").out
    assert "no age" in here.refused("record", "list", "--since", "yesterday")


def test_long_also_counts_messages_and_names_the_nodes(recordings: Path, here: Here) -> None:
    two_nodes().write(recordings / "a")
    _, row = lines_of(here.horus("record", "list", "--long").out, ["messages", "parts", "names of the nodes"])
    assert row[7:] == ["15", "1", "sensor, driver"]


def test_json_lists_the_same_facts(recordings: Path, here: Here) -> None:
    two_nodes().write(recordings / "a")
    (session,) = here.horus("record", "list", "--long", "--json").json(Listing).sessions
    assert (session.name, session.state, session.ticks, session.messages) == ("a", "complete", 10, 15)
    assert session.duration == pytest.approx(0.1)
    assert session.size == sum(path.stat().st_size for path in (recordings / "a").iterdir())


def test_a_session_that_cannot_be_opened_is_told_beside_the_others(recordings: Path, here: Here) -> None:
    two_nodes().write(recordings / "a")
    for path in two_nodes().write(recordings / "bad").paths():
        os.truncate(path, 3)
    result = here.horus("record", "list")
    assert [row[0] for row in lines_of(result.out)] == ["session", "a"]
    assert result.err.startswith("horus: bad: ")
    assert result.err.count("\n") == 1
    found = here.horus("record", "list", "--json").json(Listing)
    assert [each.name for each in found.unreadable] == ["bad"]


def test_a_folder_that_holds_no_recording_is_not_listed(recordings: Path, here: Here) -> None:
    (recordings / "notes").mkdir(parents=True)
    (recordings / ".hidden").mkdir()
    (recordings / "file").touch()
    assert "no sessions" in here.horus("record", "list").out


def test_info_says_what_a_session_holds(recordings: Path) -> None:
    events = [(3, "driver", "crash", {"reason": "killed"}), (4, "driver", "restart", {}), (9, "", "end", {})]
    header = {"script": "/robot/main.py", "script_sha256": "ab" * 32, "host": "rover", "replay_of": "sunday"}
    two_nodes(events=events, header=header).write(recordings / "monday")
    said = horus("record", "info", "monday").out
    facts = dict(line.split(":", 1) for line in said.split("\n\n")[0].splitlines())
    assert facts["ticks"].strip() == "10 (0 to 9), 100 ms"
    assert facts["messages"].strip() == "15, lost 0 of 15 messages"
    assert facts["script"].strip() == "/robot/main.py (SHA-256 abababababab)"
    assert facts["replay of"].strip() == "sunday"
    nodes = lines_of(said.split("\n\n")[1], ["node", "rate", "misses", "errors", "restarts"])
    assert [(row[0], row[1], row[2], row[5]) for row in nodes[1:]] == [
        ("sensor", "100 Hz", "10", "0"),
        ("driver", "100 Hz", "10", "1"),
    ]
    topics = lines_of(said.split("\n\n")[2], ["topic", "node", "type", "messages", "rate"])
    assert [row[:5] for row in topics[1:]] == [
        ["scan", "sensor", "any", "10", "100 Hz"],
        ["speed", "driver", "any", "5", "50 Hz"],
    ]
    assert "tick 3  driver  crash" in said
    assert "killed" in said


def test_info_as_json_has_a_schema(recordings: Path, here: Here) -> None:
    two_nodes().write(recordings / "monday")
    found = here.horus("record", "info", "monday", "--json").json(SessionSummary)
    assert (found.name, found.ticks, found.messages, found.lost) == ("monday", 10, 15, 0)


def test_info_tells_of_damage_and_of_a_missing_end(recordings: Path, here: Here) -> None:
    session = two_nodes().write(recordings / "monday")
    path = session.node_files("sensor")[0].path
    os.truncate(path, path.stat().st_size - 400)
    result = here.horus("record", "info", "monday")
    assert "state:    recovered" in result.out
    assert "Damage" in result.out
    assert str(path) in result.out


def test_a_session_may_be_given_by_its_path(recordings: Path, tmp_path: Path, here: Here) -> None:
    session = two_nodes().write(tmp_path / "elsewhere" / "monday")
    for given in (session.folder, session.paths()[0]):
        assert "session:  monday" in here.horus("record", "info", given).out


def test_text_from_a_recording_does_not_reach_the_terminal_as_it_is(recordings: Path, here: Here) -> None:
    two_nodes(header={"script": "\x1b[2Jgone\n", "script_sha256": "00", "host": "\x07bell"}).write(
        recordings / "monday"
    )
    said = here.horus("record", "info", "monday").out
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_session_that_is_being_recorded_is_listed_inspected_and_exported(recordings: Path, tmp_path: Path) -> None:
    with started("run", "--record", "now", script(tmp_path, ENDLESS)):
        found = wait_for(
            lambda: next(
                (each for each in horus("record", "list", "--json").json(Listing).sessions if each.ticks > 5), None
            ),
            "a first flush",
        )
        assert (found.name, found.state) == ("now", "running")
        assert "state:    running" in horus("record", "info", "now").out
        horus("record", "export", "now", "-o", tmp_path / "now.csv")
        assert len((tmp_path / "now.csv").read_text().splitlines()) > 5
        assert "still recording" in refused("record", "delete", "now", "--yes")
        assert "still recording" in refused("record", "rename", "now", "then")
        assert "still recording" in refused("record", "repair", "now")
        cleaned = horus("record", "clean", "--max-age-days", "0", "--max-size", "0", "--yes").out
        assert "nothing to delete" in cleaned
        replayed = horus("record", "replay", "now", "--speed", "0")
        assert "now is still being recorded" in replayed.err
        assert replayed.out.startswith("replayed now: ticks 0 to ")
    assert horus("record", "list", "--json").json(Listing).sessions[0].state == "complete"
