"""``horus record replay``, in a pipe."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from horus_cli import show
from horus_cli.record.options import split_override
from horus_cli.record.replay import ReplayResult
from horus_core.recording.reading.reader import Session
from horus_core.replay.playback import playback
from tests.control_loop import TICKS, reading, recorded
from tests.horus_command import Here, horus, started
from tests.recordings import Recording


@pytest.fixture(autouse=True)
def session(recordings: Path) -> None:
    recorded(recordings)


def echoed(here: Here, *arguments: str) -> list[tuple[int, str, object]]:
    """Tick, topic and value of each line."""
    lines = [
        line.split("  ", 2)
        for line in here.horus("record", "replay", "base", "--speed", "0", *arguments).out.splitlines()
    ]
    return [(int(tick), topic, json.loads(value)) for tick, topic, value in lines]


def test_it_takes_as_long_as_the_recording_and_says_so() -> None:
    result = horus("record", "replay", "base", "--json").json(ReplayResult)
    assert (result.session, result.first_tick, result.last_tick, result.ticks) == ("base", 0, TICKS - 1, TICKS)
    assert result.seconds > 0.95 * TICKS / 100


def test_a_range_and_a_speed() -> None:
    said = horus("record", "replay", "base", "--speed", "100", "--start-tick", "100", "--stop-tick", "149").out
    assert said.startswith("replayed base: ticks 100 to 149 in ")


def test_values_are_echoed_with_their_ticks(here: Here) -> None:
    found = echoed(here, "--echo", "sensor.reading", "--start-tick", "3", "--stop-tick", "6")
    assert found == [(tick, "sensor.reading", {"value": reading(tick), "tick": tick}) for tick in range(3, 7)]


def test_values_are_echoed_as_json_lines(here: Here) -> None:
    lines = here.horus(
        "record", "replay", "base", "--speed", "0", "--stop-tick", "1", "--echo", "ctrl.cmd", "--json"
    ).out
    first, second = (json.loads(line) for line in lines.splitlines())
    assert (first["tick"], first["node"], first["topic"], first["value"]) == (
        0,
        "controller",
        "ctrl.cmd",
        {"output": 0.0},
    )
    assert second["tick"] == 1


def test_overrides_replace_what_was_sent_and_what_is_echoed(recordings: Path, here: Here) -> None:
    overrides = ["--override", 'sensor.sensor.reading={"value": 5}', "--override", "controller.ctrl.cmd=hex:00ff"]
    found = echoed(
        here, *overrides, "--stop-tick", "1", "--record", "what-if", "--echo", "sensor.reading", "--echo", "ctrl.cmd"
    )
    assert sorted(found, key=str) == [
        (0, "ctrl.cmd", "hex:00ff"),
        (0, "sensor.reading", {"value": 5}),
        (1, "ctrl.cmd", "hex:00ff"),
        (1, "sensor.reading", {"value": 5}),
    ]
    sent = playback(Session(recordings / "what-if"), ["sensor.reading", "ctrl.cmd"], 0, 9, [])
    assert sorted(((each.tick, each.topic, show.plain(each.value)) for each in sent), key=str) == sorted(found, key=str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1.5]}', {"a": [1.5]}),
        ("null", None),
        ("hex:00ff", b"\x00\xff"),
        ("@raw.bin", b"\x01"),
        ("@value.json", [1]),
    ],
)
def test_a_value_is_json_bytes_or_a_file(
    recordings: Path, tmp_path: Path, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw.bin").write_bytes(b"\x01")
    Path("value.json").write_text("[1]")
    found = split_override(Session(recordings / "base"), f"sensor.sensor.reading={text}")
    assert found == ("sensor", "sensor.reading", value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sensor.sensor.reading", "NODE.TOPIC=VALUE"),
        ("sensor", "NODE.TOPIC=VALUE"),
        ("sensr.sensor.reading=1", "did you mean 'sensor'"),
        ("sensor.sensor.readin=1", "did you mean 'sensor.reading'"),
        ("sensor.sensor.reading=abc", "JSON"),
        ("sensor.sensor.reading=hex:0", "hexadecimal"),
        ("sensor.sensor.reading=@no-such-file", "no-such-file"),
    ],
)
def test_an_override_that_cannot_be_is_refused(override: str, said: str, here: Here) -> None:
    assert said in here.refused("record", "replay", "base", "--override", override)


def test_names_with_dots_and_equals_signs_are_told_apart_by_what_was_recorded(recordings: Path, here: Here) -> None:
    made = Recording({"arm": ["left=x"], "arm.left": ["cmd"]}, last_tick=0)
    made.add("arm", "left=x", [1]).add("arm.left", "cmd", [2]).write(recordings / "arms")
    line = ["record", "replay", "arms", "--speed", "0", "--echo", "left=x,cmd"]
    said = here.horus(*line, "--override", "arm.left=x=10", "--override", "arm.left.cmd=20").out.splitlines()
    assert sorted(said) == ["0  cmd  20", "0  left=x  10"]


def test_only_some_topics_are_replayed(recordings: Path, here: Here) -> None:
    here.horus("record", "replay", "base", "--speed", "0", "--topics", "ctrl.cmd", "--record", "less")
    less, base = Session(recordings / "less"), Session(recordings / "base")
    assert [topic.name for node in less.nodes.values() for topic in node.pubs] == ["ctrl.cmd"]
    assert less.last_tick() == base.last_tick()
    here.horus("record", "diff", "base", "less", "--topics", "ctrl.cmd", code=0)
    assert "did you mean 'ctrl.cmd'" in here.refused("record", "replay", "base", "--topics", "ctrl.cnd")


def test_a_replay_can_be_recorded_and_is_the_same(recordings: Path, here: Here) -> None:
    said = here.horus("record", "replay", "base", "--speed", "0", "--record", "again").out
    assert said.endswith("; recorded as again\n")
    assert Session(recordings / "again").header.replay_of == "base"
    here.horus("record", "diff", "base", "again", code=0)
    assert "exists already" in here.refused("record", "replay", "base", "--speed", "0", "--record", "again")
    here.horus("record", "replay", "base", "--speed", "0", "--stop-tick", "9", "--record", "again", "--overwrite")
    assert Session(recordings / "again").last_tick() == 9


def test_a_loop_goes_on_until_ctrl_c() -> None:
    line = ["record", "replay", "base", "--speed", "0", "--stop-tick", "1", "--loop", "--echo", "sensor.reading"]
    with started(*line) as process:
        assert process.stdout is not None
        found = [process.stdout.readline().split("  ", 2) for _ in range(6)]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert [int(each[0]) for each in found] == [0, 1, 2, 3, 4, 5]
    assert [json.loads(each[2])["tick"] for each in found] == [0, 1, 0, 1, 0, 1]
    assert process.returncode == 130
    assert "stopped by SIGINT" in said
    assert "Traceback" not in said


def test_a_reader_that_has_seen_enough_ends_it() -> None:
    with started("record", "replay", "base", "--loop", "--speed", "0", "--echo", "sensor.reading") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=20)
        assert "Traceback" not in process.stderr.read()
        process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "0.001"], "0.01 to 100"),
        (["--speed", "-1"], "0.01 to 100"),
        (["--speed", "nan"], "0.01 to 100"),
        (["--start-tick", "200"], "ticks 0 to 199"),
        (["--start-tick", "9", "--stop-tick", "8"], "start_at_tick(9) is after stop_at_tick(8)"),
        (["--start-tick", "-1"], "--start-tick"),
        (["--echo", "ctrl.cnd"], "did you mean 'ctrl.cmd'"),
        (["--topics", ","], "--topics"),
    ],
)
def test_what_the_recording_does_not_have_is_refused(arguments: list[str], said: str, here: Here) -> None:
    assert said in here.refused("record", "replay", "base", *arguments)
