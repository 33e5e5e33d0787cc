"""What the daemon answers, with processes that are played."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_daemon import service as service_module
from horus_daemon.client_to_daemon import Down, GraphSpec, List, Restart, Shutdown, Status, Up
from horus_daemon.daemon_to_client import DaemonStatus, Done, Ended, GraphInfo, Graphs, Refused
from horus_daemon.events import Event
from horus_daemon.graph_states import Surroundings
from horus_daemon.places import user_places
from horus_daemon.process import GraphFiles
from horus_daemon.service import Service
from horus_daemon.specs import graph_spec
from horus_daemon.state import load
from tests.daemons import Played


class Stage:
    """A service on a played machine."""

    def __init__(self) -> None:
        self.places = user_places()
        self.places.prepare()
        self.now = 1000.0
        self.started: dict[str, Played] = {}
        self.written_when_started: dict[str, list[str]] = {}
        self.published: list[Event] = []
        self.service = self.again()

    def again(self) -> Service:
        around = Surroundings(
            publish=self.published.append,
            clock=lambda: self.now,
            start=self._start,  # type: ignore[arg-type]
            adopt=lambda files: None,
            end_orphans=lambda pid: None,
            find=lambda pid: None,
        )
        return Service(self.places, around)

    def _start(self, files: GraphFiles, spec: GraphSpec, starts: int, environ: Mapping[str, str]) -> Played:
        self.written_when_started[spec.name] = [entry.spec.name for entry in load(self.places.graphs) if entry.wanted]
        self.started[spec.name] = Played(500 + len(self.started))
        return self.started[spec.name]

    def ask(self, request: Any) -> Any:
        return self.service.handle(request)

    def ends(self, name: str, code: int) -> None:
        self.started[name].end = Ended(1, code)
        self.service.step()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def spec(tmp_path: Path) -> GraphSpec:
    (tmp_path / "arm.py").write_text("")
    return graph_spec(tmp_path / "arm.py")


def named(spec: GraphSpec, name: str, **changes: Any) -> GraphSpec:
    return msgspec.structs.replace(spec, name=name, **changes)


def only(answer: Graphs) -> GraphInfo:
    assert isinstance(answer, Graphs), answer
    (graph,) = answer.graphs
    return graph


def test_a_graph_is_written_down_before_it_starts(stage: Stage, spec: GraphSpec) -> None:
    graph = only(stage.ask(Up(id=4, graph=spec)))
    assert (graph.name, graph.state, graph.pid, graph.wanted, graph.starts) == ("arm", "starting", 500, True, 1)
    assert stage.written_when_started == {"arm": ["arm"]}


def test_an_answer_has_the_id_of_its_request(stage: Stage, spec: GraphSpec) -> None:
    requests = [
        Status(id=1),
        List(id=2),
        Up(id=3, graph=spec),
        Up(id=4, graph=spec),
        Down(id=5, name="x"),
        Shutdown(id=6),
    ]
    assert [stage.ask(each).id for each in requests] == [1, 2, 3, 4, 5, 6]


def test_one_that_runs_or_waits_is_not_started_beside_itself(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    refused = stage.ask(Up(graph=spec))
    assert isinstance(refused, Refused)
    assert (refused.code, "starting already" in refused.why) == ("exists", True)
    stage.ends("arm", 1)
    assert stage.ask(Up(graph=spec)).code == "exists"
    stage.ask(Down(name="arm"))
    assert only(stage.ask(Up(graph=spec))).state == "starting"


def test_a_graph_that_is_not_there_is_said_with_those_that_are(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    for request in (List(names=["am"]), Down(name="am"), Restart(name="am")):
        refused = stage.ask(request)
        assert refused.code == "missing"
        assert refused.why == "there is no graph 'am' (there are: arm); did you mean 'arm'?"


def test_what_could_not_start_is_refused_and_not_kept(stage: Stage, spec: GraphSpec) -> None:
    refused = stage.ask(Up(graph=named(spec, "arm", folder="/none")))
    assert (refused.code, "/none" in refused.why) == ("invalid", True)
    assert stage.ask(List()).graphs == []


def test_a_disk_that_is_full_refuses_and_starts_nothing(
    stage: Stage, spec: GraphSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service_module, "save", full)
    refused = stage.ask(Up(graph=spec))
    assert (refused.code, "No space left" in refused.why) == ("invalid", True)
    assert stage.started == {}
    assert stage.ask(List()).graphs == []


def test_a_failure_of_the_daemon_itself_is_an_answer_too(
    stage: Stage, spec: GraphSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service_module, "check_spec", lambda spec: 1 / 0)
    refused = stage.ask(Up(graph=spec))
    assert (refused.code, "ZeroDivisionError" in refused.why) == ("internal", True)
    monkeypatch.undo()
    assert isinstance(stage.ask(Status()), DaemonStatus)


def test_one_that_is_down_is_listed_until_it_is_forgotten(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    assert only(stage.ask(Down(name="arm", seconds=3.0))).state == "stopping"
    assert stage.started["arm"].signals == [signal.SIGTERM]
    stage.ends("arm", 143)
    assert only(stage.ask(List())).state == "stopped"
    assert [entry.wanted for entry in load(stage.places.graphs)] == [False]
    stage.ask(Down(name="arm", forget=True))
    stage.service.step()
    assert stage.ask(List()).graphs == []
    assert load(stage.places.graphs) == []


def test_one_that_is_forgotten_while_it_runs_goes_when_it_has_ended(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    stage.ask(Down(name="arm", forget=True))
    stage.service.step()
    assert only(stage.ask(List())).state == "stopping"
    stage.ends("arm", 143)
    assert stage.ask(List()).graphs == []


def test_a_restart_starts_with_what_there_is_now(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    first = stage.started["arm"]
    assert only(stage.ask(Restart(name="arm"))).state == "stopping"
    stage.ends("arm", 143)
    assert stage.started["arm"] is not first
    assert only(stage.ask(List())).starts == 2
    stage.ends("arm", 1)
    assert only(stage.ask(Restart(name="arm"))).state == "starting"
    Path(spec.script).unlink()
    assert stage.ask(Restart(name="arm")).code == "invalid"
    assert only(stage.ask(List())).state == "starting"


def test_those_that_ended_long_ago_go_first(stage: Stage, spec: GraphSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "ENDED_KEPT", 3)
    for number in range(6):
        stage.ask(Up(graph=named(spec, f"g{number}", restart="no")))
        stage.ends(f"g{number}", 0)
    stage.ask(Up(graph=named(spec, "last")))
    assert [graph.name for graph in stage.ask(List()).graphs] == ["g3", "g4", "g5", "last"]


def test_a_daemon_that_ends_its_graphs_ends_when_they_have_and_wants_them_back(stage: Stage, spec: GraphSpec) -> None:
    for name in ("a", "b", "done"):
        stage.ask(Up(graph=named(spec, name)))
    stage.ends("done", 0)
    assert isinstance(stage.ask(Shutdown(graphs=True)), Done)
    assert stage.ask(Up(graph=named(spec, "c"))).code == "stopping"
    assert stage.ask(Restart(name="done")).code == "stopping"
    stage.ends("a", 0)
    assert not stage.service.ending
    stage.ends("b", 143)
    assert stage.service.ending
    stage.started.clear()
    following = stage.again()
    following.take_up()
    following.step()
    assert sorted(stage.started) == ["a", "b"]


def test_a_daemon_that_ends_leaves_its_graphs_alone(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    stage.ask(Shutdown())
    assert stage.service.ending
    stage.service.leave()
    assert stage.started["arm"].signals == []


def test_a_graph_that_breaks_the_daemons_step_does_not_stop_the_others(
    stage: Stage, spec: GraphSpec, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        stage.ask(Up(graph=named(spec, name)))
    stage.started["a"].ended = lambda: 1 / 0  # type: ignore[assignment,method-assign,return-value]
    with caplog.at_level("ERROR", "horusd"):
        for _ in range(5):
            stage.service.step()
    assert caplog.text.count("graph a: a failure in the daemon itself") == 1
    stage.ends("b", 0)
    assert [graph.state for graph in stage.ask(List()).graphs] == ["starting", "ended"]


def test_the_status_counts(stage: Stage, spec: GraphSpec) -> None:
    stage.ask(Up(graph=spec))
    stage.ask(Up(graph=spec))
    status = stage.ask(Status())
    assert (status.requests, status.refused, status.graphs) == (3, 1, {"arm": "starting"})
