"""What the daemon does for its clients: a request in, an answer out, at once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from horus_core.errors import HorusError
from horus_daemon.client_to_daemon import Down, List, Request, Restart, Shutdown, Status, Up
from horus_daemon.daemon_to_client import Answer, DaemonStatus, Done, Graphs, Refused
from horus_daemon.errors import UnknownGraph
from horus_daemon.graph_states import OwnedGraph, Surroundings
from horus_daemon.journal import log
from horus_daemon.places import Places
from horus_daemon.process import GraphFiles
from horus_daemon.specs import check_spec
from horus_daemon.state import Entry, load, save
from horus_daemon.wire import package_version, refusal

ENDED_KEPT = 100  # graphs that do not run and should not
STOP_ALL_SECONDS = 60.0  # until graphs are killed that end with the daemon


@dataclass
class Counts:
    """What the daemon has done so far."""

    requests: int = 0
    refused: int = 0
    adopted: int = 0


@dataclass
class Service:
    """The graphs of a daemon, and the requests about them.

    Args:
        places: the daemon's folders.
        around: what the graphs need of the daemon and of the machine.

    Attributes:
        ending: whether the daemon is to end.
    """

    places: Places
    around: Surroundings
    graphs: dict[str, OwnedGraph] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    started_ns: int = field(default_factory=time.time_ns)
    ending: bool = False
    _ending_graphs: bool = False
    _forgetting: set[str] = field(default_factory=set)
    _failed: dict[str, str] = field(default_factory=dict)

    def take_up(self) -> None:
        """Takes over what runs, and starts what should run."""
        for entry in load(self.places.graphs):
            graph = self.graphs[entry.spec.name] = self._owned(entry)
            self.counts.adopted += graph.take_up()
        self.save()

    def _owned(self, entry: Entry) -> OwnedGraph:
        places, name = self.places, entry.spec.name
        files = GraphFiles(places.supervisors, name, places.graph_log(name), places.log_mode)
        return OwnedGraph(entry, files, self.save, self.around)

    def save(self) -> None:
        """Writes the state file; a failure is logged, and the next change tries again."""
        try:
            self._save()
        except OSError as problem:
            log.error("the state file %s cannot be written: %s", self.places.graphs, problem)

    def _save(self) -> None:
        save(self.places.graphs, [graph.entry for graph in self.graphs.values()])

    def step(self) -> None:
        """Moves every graph on."""
        for graph in list(self.graphs.values()):
            try:
                graph.step()
            except Exception as problem:
                if repr(problem) != self._failed.get(graph.name):
                    log.exception("graph %s: a failure in the daemon itself", graph.name)
                self._failed[graph.name] = repr(problem)
        for name in [name for name in self._forgetting if self.graphs[name].process is None]:
            self._forget(self.graphs[name])
            self.save()
        if self._ending_graphs and not any(graph.process for graph in self.graphs.values()):
            self.ending = True

    def handle(self, request: Request) -> Answer:
        """Does what is asked. Never raises."""
        self.counts.requests += 1
        try:
            answer = self._handle(request)
        except UnknownGraph as problem:
            answer = refusal("missing", problem, request.id)
        except HorusError as problem:
            answer = refusal("invalid", problem, request.id)
        except OSError as problem:
            answer = refusal("invalid", problem, request.id)
        except Exception as problem:
            log.exception("a request failed: %r", request)
            answer = refusal("internal", f"horusd failed: {type(problem).__name__}: {problem}", request.id)
        if isinstance(answer, Refused):
            self.refuse(answer)
        return answer

    def refuse(self, answer: Refused) -> None:
        """Counts and logs a refusal."""
        self.counts.refused += 1
        usual = answer.code in ("exists", "missing", "stopping")
        log.log(logging.INFO if usual else logging.WARNING, "refused (%s): %s", answer.code, answer.why)

    def _handle(self, request: Request) -> Answer:
        match request:
            case Status():
                return self._status(request)
            case List():
                found = [self._named(name) for name in request.names] if request.names else self.graphs.values()
                return self._shown(request, found)
            case Up():
                return self._up(request)
            case Down():
                return self._down(request)
            case Restart():
                return self._restart(request)
            case Shutdown():
                return self._shutdown(request)
            case _:
                assert_never(request)

    def _shown(self, request: Request, graphs: Iterable[OwnedGraph]) -> Graphs:
        return Graphs(id=request.id, graphs=[graph.info() for graph in graphs])

    def _named(self, name: str) -> OwnedGraph:
        try:
            return self.graphs[name]
        except KeyError:
            raise UnknownGraph(name, tuple(self.graphs)) from None

    def _status(self, request: Status) -> DaemonStatus:
        return DaemonStatus(
            id=request.id,
            pid=os.getpid(),
            server=package_version(),
            started_ns=self.started_ns,
            graphs={name: graph.state for name, graph in self.graphs.items()},
            adopted=self.counts.adopted,
            requests=self.counts.requests,
            refused=self.counts.refused,
            lost_events=sum(graph.lost_events for graph in self.graphs.values()),
            state_file=str(self.places.graphs),
            logs=str(self.places.logs),
        )

    def _up(self, request: Up) -> Answer:
        spec, there = request.graph, self.graphs.get(request.graph.name)
        if self.ending or self._ending_graphs:
            return refusal("stopping", "horusd is ending", request.id)
        if there is not None and (there.process is not None or there.start_at is not None):
            return refusal(
                "exists",
                f"a graph {spec.name!r} is {there.state} already; 'horus restart {spec.name}' starts it anew, "
                f"'horus down {spec.name}' ends it, --name runs this one beside it",
                request.id,
            )
        check_spec(spec)
        graph = there or self._owned(Entry(spec))
        before = graph.entry
        graph.entry = Entry(spec, wanted=True)
        self.graphs[spec.name] = graph
        self._forgetting.discard(spec.name)
        try:
            self._forget_old()
            self._save()  # before it starts: what runs is always written down
        except OSError:
            graph.entry = before
            if there is None:
                del self.graphs[spec.name]
            raise
        graph.forget_events()
        graph.start()
        graph.step()
        return self._shown(request, [graph])

    def _forget_old(self) -> None:
        idle = [graph for graph in self.graphs.values() if graph.process is None and not graph.entry.wanted]
        for graph in sorted(idle, key=lambda graph: graph.entry.since_ns)[: max(0, len(idle) - ENDED_KEPT)]:
            self._forget(graph)

    def _forget(self, graph: OwnedGraph) -> None:
        self._forgetting.discard(graph.name)
        del self.graphs[graph.name]
        graph.forget()

    def _down(self, request: Down) -> Answer:
        graph = self._named(request.name)
        graph.stop(request.seconds)  # the signal first: an unwanted graph that a next daemon finds has had it
        if request.forget:
            self._forgetting.add(graph.name)
        self._save()
        return self._shown(request, [graph])

    def _restart(self, request: Restart) -> Answer:
        graph = self._named(request.name)
        if self.ending or self._ending_graphs:
            return refusal("stopping", "horusd is ending", request.id)
        check_spec(graph.entry.spec)
        graph.stop(request.seconds, wanted=True)
        graph.start()
        self._save()
        graph.step()
        return self._shown(request, [graph])

    def _shutdown(self, request: Shutdown) -> Done:
        if request.graphs:
            self.stop_graphs()
        else:
            self.ending = True
        return Done(id=request.id)

    def stop_graphs(self) -> None:
        """Ends every graph in order; the next daemon starts them again."""
        self._ending_graphs = True
        for graph in self.graphs.values():
            if graph.entry.wanted:
                graph.stop(STOP_ALL_SECONDS, wanted=True)
        self.save()

    def leave(self) -> None:
        """Lets every graph go on by itself."""
        for graph in self.graphs.values():
            graph.leave()
