"""Makes the plan of a run from what a scheduler was given and what it replays."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from horus_core.engine.placement import Placement, place
from horus_core.engine.run_options import RunOptions
from horus_core.errors import EmptyGraph
from horus_core.execution.plan import Plan
from horus_core.graph.node import Node
from horus_core.graph.spec import Graph, build_graph
from horus_core.processes.own_files import make_folder
from horus_core.processes.topology import Topology
from horus_core.recording.keeping import sessions
from horus_core.recording.writing.request import RecordingRequest
from horus_core.replay.plan import Replaying
from horus_core.scheduler.settings import Settings


def make_plan(settings: Settings, nodes: Mapping[str, Node], replaying: Replaying, stepping: bool) -> Plan:
    """The plan of a run; `stepping` waits for everybody between ticks.

    Raises:
        EmptyGraph, TopicConflict, InvalidValue, ReplayRange, RecordingExists: see their words.
    """
    if not nodes and not replaying.nodes:
        raise EmptyGraph()
    graph = graph_of(settings, nodes, replaying)
    options, sources, recorded = replaying.prepare(
        graph,
        list(nodes),
        RunOptions(
            first_tick=0,
            lockstep=settings.deterministic or stepping,
            seed=settings.seed,
            epoch_ns=0,
            recorded=bool(settings.wanted_session) or settings.has_blackbox,
            block=settings.how.overflow == "block",
            deterministic=settings.deterministic,
        ),
    )
    return Plan(
        name=settings.name,
        graph=graph,
        callbacks={name: node.callbacks for name, node in nodes.items()},
        sources=sources,
        recorded=recorded,
        options=options,
        placement=placement_of(settings, graph),
        recording=_recording_request(settings, graph, options, replaying),
        rt=settings.rt,
        watchdog=settings.watchdog,
        blackbox_mb=settings.blackbox_mb if settings.has_blackbox else 0,
        max_misses=settings.max_misses,
        script=_script(),
        output=settings.output,
    )


def graph_of(settings: Settings, nodes: Mapping[str, Node], replaying: Replaying) -> Graph:
    """The graph of live and replayed nodes."""
    specs = replaying.specs([node.spec for node in nodes.values()])
    return build_graph(specs, replaying.tick_rate or settings.tick_rate)


def placement_of(settings: Settings, graph: Graph) -> Placement:
    """Which core each process would run on."""
    topology = Topology.here(settings.cores)
    return place(graph, settings.cores if settings.cores_given else topology.usable(settings.cores), topology)


def _recording_request(
    settings: Settings, graph: Graph, options: RunOptions, replaying: Replaying
) -> RecordingRequest | None:
    wanted = settings.wanted_session
    if not wanted:
        if not settings.has_blackbox:
            return None
        return RecordingRequest(settings.name, [], graph, options, _script())
    settings.how.check(lane.topic for lane in graph.lanes)
    name = wanted if isinstance(wanted, (str, Path)) else getattr(wanted, "name", None)
    if isinstance(name, Path):
        folder = name
        make_folder(folder, exist_ok=False)
    else:
        base = settings.name if settings.name != "horus" else Path(_script()).stem or "horus"
        name = name or sessions.free_session_name(base)
        folder = sessions.new_session_folder(name, settings.overwrite or settings.how.overwrite)
    session = replaying.session
    replayed = session.name if session is not None else ""
    return RecordingRequest(folder.name, [(folder, settings.how)], graph, options, _script(), replayed)


def _script() -> str:
    """The path of the script that runs, '' if there is none (an interactive session)."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    return os.path.abspath(path) if path else ""
