"""Recordings of some topics only: what is left out is said, is no loss and no difference, and stays silent in a replay."""

from __future__ import annotations

from pathlib import Path

import pytest

import horus
from horus import Node, Recording, Scheduler
from horus_core.recording.compare import compare
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.summary import summarize
from horus_core.trials.inject import InjectionResult
from tests.horus_command import horus as command
from tests.horus_command import script
from tests.recordings import rows_of

TICKS = 50


def send(node: Node) -> None:
    node.send("camera/left", bytes(1000))
    node.send("camera/right", bytes(1000))
    node.send("odom", horus.tick())


def drive(node: Node) -> None:
    seen = node.recv("camera/left")
    node.send("cmd", None if seen is None else len(seen))


def run(execution: str, name: str, how: Recording) -> None:
    base = Node(name="base", tick=send, rate=100, pubs=["camera/left", "camera/right", "odom"])
    driver = Node(name="driver", tick=drive, rate=100, subs=["camera/left"], pubs=["cmd"])
    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution=execution, recording=how)
    scheduler.add(base).add(driver).run(duration=TICKS / 100)


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_excluded_topics_are_not_recorded_and_nothing_else_is_missing(recordings: Path, execution: str) -> None:
    run(execution, "run", Recording(name="run", record_exclude=["camera/*"]))
    run(execution, "all", Recording(name="all"))
    session = Session(recordings / "run")
    assert [row[0] for row in rows_of(session, "base")] == list(range(TICKS))
    assert rows_of(session, "driver") == rows_of(Session(recordings / "all"), "driver")
    found = summarize(session)
    assert (found.messages, found.lost, found.not_recorded) == (2 * TICKS, 0, ["camera/left", "camera/right"])
    assert [node.ticks for node in found.nodes] == [TICKS, TICKS]
    compared = compare(session, Session(recordings / "all"))
    assert (compared.equal, compared.not_compared) == (True, ["camera/left", "camera/right"])


def test_only_the_topics_asked_for_are_recorded(recordings: Path) -> None:
    run("process", "run", Recording(name="run", record_topics=["camera/*", "cmd"], record_exclude=["*/right"]))
    found = summarize(Session(recordings / "run"))
    assert {topic.topic: topic.messages for topic in found.topics} == {"camera/left": TICKS, "cmd": TICKS}
    assert found.not_recorded == ["camera/right", "odom"]


def test_a_replay_says_what_stays_silent(recordings: Path) -> None:
    run("inline", "run", Recording(name="run", record_exclude=["camera/*"]))
    result = command("record", "replay", "run", "--speed", "0", "--echo", "o*")
    assert [int(line.split()[2]) for line in result.out.splitlines()] == list(range(TICKS))
    assert "run was recorded without camera/left, camera/right: nothing is sent there" in result.err
    assert "not recorded: camera/left, camera/right" in " ".join(command("record", "info", "run").out.split())


SCRIPT = """
import horus
from horus import Node, Recording, Scheduler

sensor = Node(name="sensor", tick=lambda node: node.send("scan", horus.tick()), rate=100, pubs=["scan"])
driver = Node(name="driver", tick=lambda node: node.send("cmd", node.recv("scan")), rate=100, subs=["scan"], pubs=["cmd"])
how = Recording(name="run", record_exclude=["cmd"])
scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution="inline", recording=how)
scheduler.add(sensor).add(driver).run(duration=0.2)
"""


def test_what_was_not_recorded_is_never_said_to_be_equal(recordings: Path, tmp_path: Path) -> None:
    command("run", script(tmp_path, SCRIPT))
    line = ["record", "inject", "run", "--nodes", "sensor", "--speed", "0", "--inline"]
    result = command(*line, "--json").json(InjectionResult)
    assert (result.equal, result.comparison) == (None, None)
    assert command(*line, "--check", code=1).out.splitlines()[-1].startswith("nothing to compare")
