"""What moves a graph from one state to the next: a process that is played, and a clock that jumps."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended
from horus_daemon.events import Event, GraphEvent
from horus_daemon.graph_states import HELD_SECONDS, STEADY_SECONDS, OwnedGraph, Surroundings
from horus_daemon.process import GraphFiles, Identity, Run, boot_id
from horus_daemon.state import Entry
from tests.daemons import Played


@dataclass
class Seen:
    """A graph in shared memory, as an observer sees it."""

    ended: bool = False
    tick: int = 5

    graph: Any = field(
        default_factory=lambda: type("G", (), {"script": "/s.py", "id": "i", "tick_rate": 1.0, "session": ""})
    )

    def events(self) -> list[Any]:
        return []

    def nodes(self) -> list[Any]:
        return []

    def take_dropped(self) -> int:
        return 0


class Stage:
    """A graph and its surroundings, all of them played."""

    def __init__(self, folder: Path, **entry: Any) -> None:
        restart = entry.pop("restart", "on-failure")
        spec = GraphSpec(
            name="robot", script="/s.py", folder="/", python="/p", restart=restart, environment={"A": "spec"}
        )
        self.now = 1000.0
        self.entry = Entry(spec, **entry)
        self.files = GraphFiles(folder, "robot", folder / "robot.log", 0o600)
        self.processes: list[Played] = []
        self.environs: list[Mapping[str, str]] = []
        self.adopted: Played | None = None
        self.held = False
        self.failing: Exception | None = None
        self.seen: Seen | None = None
        self.published: list[Event] = []
        self.saved: list[Entry] = []
        self.orphaned: list[int] = []
        self.graph = OwnedGraph(self.entry, self.files, self._save, self._around())

    def _save(self) -> None:
        self.saved.append(msgspec.json.decode(msgspec.json.encode(self.graph.entry), type=Entry))

    def _around(self) -> Surroundings:
        return Surroundings(
            publish=self.published.append,
            environ={"NOTIFY_SOCKET": "/n", "A": "daemon", "B": "daemon"},
            clock=lambda: self.now,
            start=self._start,  # type: ignore[arg-type]
            adopt=lambda files: self.adopted,  # type: ignore[arg-type,return-value]
            end_orphans=self.orphaned.append,
            find=lambda pid: self.seen,  # type: ignore[arg-type,return-value]
        )

    def _start(self, files: GraphFiles, spec: GraphSpec, starts: int, environ: Mapping[str, str]) -> Played | None:
        self.environs.append(environ)
        if self.failing is not None:
            raise self.failing
        if self.held:
            return None
        self.processes.append(Played(100 + len(self.processes)))
        return self.processes[-1]

    def runs(self) -> Played:
        """Brings the graph to "running"."""
        self.graph.start()
        self.seen = Seen()
        self.graph.step()
        assert self.graph.state == "running"
        return self.processes[-1]

    def ends(self, code: int | None, why: str = "") -> None:
        self.processes[-1].end = Ended(1, code, why)
        self.seen = None
        self.graph.step()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.graph.step()

    def states(self) -> list[str]:
        return [event.state for event in self.published if isinstance(event, GraphEvent)]


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    return lambda **entry: Stage(tmp_path, **entry)


Make = Callable[..., Stage]


def test_a_graph_starts_runs_and_stops_in_order(stage: Make) -> None:
    played = stage()
    played.graph.start()
    played.graph.step()
    assert played.graph.state == "starting"
    played.seen = Seen()
    played.passes(0.1)
    assert played.graph.state == "running"
    played.graph.stop(5.0)
    assert played.graph.state == "stopping"
    assert played.processes[0].signals == [signal.SIGTERM]
    played.ends(143)
    assert played.graph.state == "stopped"
    assert played.processes[0].closed
    assert not played.entry.wanted
    assert played.states() == ["starting", "running", "stopping", "stopped"]
    played.passes(1000)
    assert len(played.processes) == 1


def test_a_graph_gets_the_daemons_environment_but_not_what_systemd_tells_the_daemon_alone(stage: Make) -> None:
    played = stage()
    played.runs()
    assert played.environs == [{"A": "spec", "B": "daemon"}]


def test_one_that_does_not_stop_in_its_time_is_killed_once(stage: Make) -> None:
    played = stage()
    process = played.runs()
    played.graph.stop(5.0)
    played.passes(4.9)
    assert process.signals == [signal.SIGTERM]
    played.passes(0.2)
    played.passes(10)
    assert process.signals == [signal.SIGTERM, signal.SIGKILL]
    played.ends(137)
    assert played.graph.state == "stopped"


def test_asked_twice_to_stop_it_is_told_once_and_gets_the_later_limit(stage: Make) -> None:
    played = stage()
    process = played.runs()
    played.graph.stop(5.0)
    played.graph.stop(1.0)
    played.passes(1.1)
    assert process.signals == [signal.SIGTERM, signal.SIGKILL]


def test_one_that_fails_starts_again_later_and_later(stage: Make) -> None:
    played = stage()
    played.runs()
    for delay in (1, 2, 4, 8, 16, 32, 60, 60):
        before = len(played.processes)
        played.ends(1, "no camera")
        assert played.graph.state == "waiting"
        assert played.graph.info().again_in == delay
        played.passes(delay - 0.01)
        assert len(played.processes) == before
        played.passes(0.02)
        assert len(played.processes) == before + 1
        assert played.graph.state == "starting"
    assert played.entry.wanted


def test_one_that_ran_steadily_begins_with_the_shortest_wait_again(stage: Make) -> None:
    played = stage()
    played.runs()
    for _ in range(4):
        played.ends(1)
        played.passes(60)
    played.seen = Seen()
    played.passes(STEADY_SECONDS)
    played.ends(1)
    assert played.graph.info().again_in == 1


@pytest.mark.parametrize(
    ("restart", "code", "state", "wanted"),
    [
        ("no", 0, "ended", False),
        ("no", 1, "failed", False),
        ("no", None, "failed", False),
        ("on-failure", 0, "ended", False),
        ("on-failure", 1, "waiting", True),
        ("on-failure", 143, "waiting", True),
        ("on-failure", None, "waiting", True),
        ("always", 0, "waiting", True),
        ("always", 1, "waiting", True),
    ],
)
def test_its_policy_says_what_becomes_of_one_that_ended(
    stage: Make, restart: str, code: int | None, state: str, wanted: bool
) -> None:
    played = stage(restart=restart)
    played.runs()
    played.ends(code)
    assert (played.graph.state, played.entry.wanted, played.saved[-1].wanted) == (state, wanted, wanted)


def test_one_that_is_restarted_starts_as_soon_as_it_has_ended(stage: Make) -> None:
    played = stage()
    process = played.runs()
    played.graph.stop(5.0, wanted=True)
    played.graph.start()
    assert process.signals == [signal.SIGTERM]
    played.ends(143)
    assert len(played.processes) == 2
    assert played.graph.state == "starting"
    assert not played.entry.stopped


def test_one_that_waits_can_be_stopped_and_started(stage: Make) -> None:
    played = stage()
    played.runs()
    played.ends(1)
    played.graph.stop(5.0)
    assert played.graph.state == "stopped"
    played.passes(100)
    assert len(played.processes) == 1
    played.graph.start()
    played.graph.step()
    assert len(played.processes) == 2


def test_a_stop_takes_back_a_restart(stage: Make) -> None:
    played = stage()
    played.runs()
    played.graph.stop(5.0, wanted=True)
    played.graph.start()
    played.graph.stop(5.0)
    played.ends(143)
    assert played.graph.state == "stopped"
    assert not played.entry.wanted


def test_one_that_cannot_even_be_started_waits_as_if_it_had_failed(stage: Make) -> None:
    played = stage()
    played.failing = FileNotFoundError(2, "No such file or directory", "/p")
    played.graph.start()
    played.graph.step()
    assert played.graph.state == "waiting"
    assert played.graph.info().ended.code == 127  # type: ignore[union-attr]
    assert "/p" in played.graph.info().ended.why  # type: ignore[union-attr]
    played.passes(1.0)
    assert played.graph.info().again_in == 2.0
    played.failing = None
    played.passes(2.0)
    assert played.graph.state == "starting"


def test_it_is_looked_at_more_often_until_its_nodes_are_ready_but_not_for_ever(stage: Make) -> None:
    played = stage()
    assert played.graph.next_look() == math.inf
    played.graph.start()
    assert played.graph.next_look() == 0
    played.graph.step()
    assert played.graph.next_look() == 0.02
    played.passes(11)
    assert played.graph.next_look() == 0.1
    played.ends(1)
    assert played.graph.next_look() == 1.0
    played.passes(1.0)
    played.seen = Seen()
    played.passes(0.02)
    assert played.graph.next_look() == 0.1


# A daemon that begins.


def run_file(played: Stage, ended: Ended | None, pid: int = 2**22 + 1) -> None:
    played.files.run.write_bytes(msgspec.json.encode(Run(Identity(pid, 1, "boot"), "0", ended)))


def test_one_that_runs_is_taken_over_untouched(stage: Make) -> None:
    played = stage(wanted=True, starts=2)
    played.adopted, played.seen = Played(77), Seen()
    assert played.graph.take_up()
    played.graph.step()
    assert played.graph.state == "running"
    assert played.adopted.signals == []
    assert played.processes == []
    assert played.entry.starts == 2


def test_one_that_was_being_stopped_is_killed_if_it_does_not_end(stage: Make) -> None:
    played = stage(wanted=False, starts=1, stopped=True)
    played.adopted = Played(77)
    assert played.graph.take_up()
    assert played.graph.state == "stopping"
    assert played.adopted.signals == []  # it has had its SIGTERM; a second one would mean "at once"
    played.passes(100)
    assert played.adopted.signals == [signal.SIGKILL]
    played.adopted.end = Ended(1, 137)
    played.graph.step()
    assert played.graph.state == "stopped"


@pytest.mark.parametrize(
    ("restart", "ended", "starts"),
    [
        ("on-failure", None, True),  # the power went
        ("on-failure", Ended(1, 143), True),  # killed by hand, or by the machine's end
        ("on-failure", Ended(1, 1), True),
        ("on-failure", Ended(1, 0), False),  # it was done
        ("always", Ended(1, 0), True),
        ("no", None, False),
        ("no", Ended(1, 1), False),
    ],
)
def test_one_that_should_run_and_does_not_is_started_as_its_policy_says(
    stage: Make, restart: str, ended: Ended | None, starts: bool
) -> None:
    played = stage(wanted=True, starts=1, restart=restart)
    run_file(played, ended)
    assert not played.graph.take_up()
    played.graph.step()
    assert bool(played.processes) == starts
    assert played.entry.wanted == starts
    if not starts:
        assert played.graph.state == ("ended" if ended == Ended(1, 0) else "failed")


def test_one_that_ended_in_order_with_the_machine_starts_again(stage: Make) -> None:
    played = stage(wanted=True, starts=1)
    played.runs()
    played.graph.stop(60.0, wanted=True)
    played.ends(0)
    assert played.saved[-1].wanted
    run_file(played, Ended(1, 0))
    again = OwnedGraph(played.saved[-1], played.files, lambda: None, played._around())
    again.take_up()
    again.step()
    assert again.state == "starting"


def test_one_that_was_never_started_is_started_whatever_its_policy(stage: Make) -> None:
    played = stage(wanted=True, restart="no")
    played.graph.take_up()
    played.graph.step()
    assert len(played.processes) == 1


def test_one_that_should_not_run_is_left_alone(stage: Make) -> None:
    played = stage(starts=1, ended=Ended(1, 0))
    run_file(played, Ended(1, 0))
    played.graph.take_up()
    played.graph.step()
    assert played.processes == []
    assert played.graph.state == "ended"


def test_one_that_another_daemon_has_just_started_is_waited_for_and_taken_over(stage: Make) -> None:
    played = stage(wanted=True, starts=0)
    lock = played.files.take_lock()
    assert lock is not None
    played.held = True
    played.graph.take_up()
    played.graph.step()
    assert played.graph.state == "waiting"
    played.passes(0.1)
    played.adopted = Played(77)
    played.passes(0.1)
    assert played.graph.process is played.adopted
    assert played.processes == []
    os.close(lock)


def test_a_lock_that_something_else_keeps_is_given_up_after_a_while(stage: Make) -> None:
    played = stage()
    played.held = True
    played.graph.start()
    played.graph.step()
    assert played.graph.state == "waiting"
    played.files.lock.touch()
    played.passes(HELD_SECONDS + 0.1)
    assert not played.files.lock.exists()
    played.held = False
    played.graph.step()
    assert played.graph.state == "starting"


def test_a_script_that_runs_one_graph_after_the_other_stays_running(stage: Make) -> None:
    played = stage()
    played.runs()
    first, played.seen = played.seen, None
    assert first is not None
    first.ended = True
    played.passes(1)
    assert played.graph.state == "running"
    assert played.graph.info().id == ""
    played.seen = Seen()
    played.passes(1)
    assert played.graph.info().id == "i"


def test_a_daemon_that_ends_lets_go_without_a_signal(stage: Make) -> None:
    played = stage()
    process = played.runs()
    played.graph.leave()
    assert process.closed
    assert process.signals == []
    assert played.saved[-1].wanted


# What a process that was killed leaves.


def test_what_a_killed_process_has_left_is_ended_and_what_one_that_ended_by_itself_left_is_not(stage: Make) -> None:
    played = stage()
    for code, orphaned in ((0, []), (1, []), (137, [102]), (None, [102, 103])):
        played.runs()
        played.ends(code)
        assert played.orphaned == orphaned, code
        played.graph.stop(1)


@pytest.mark.parametrize(("boot", "orphaned"), [("", [2**22 + 1]), ("another start of the machine", [])])
def test_so_is_what_one_left_that_was_killed_while_no_daemon_ran(stage: Make, boot: str, orphaned: list[int]) -> None:
    played = stage(wanted=True, starts=1)
    played.files.run.write_bytes(msgspec.json.encode(Run(Identity(2**22 + 1, 1, boot or boot_id()), "0")))
    played.graph.take_up()
    assert played.orphaned == orphaned
