"""A header whose checksum is right may still say what no recorder says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.errors import RecordingDamaged
from horus_core.recording.format.header import GraphRecord, Header, LaneRecord, NodeRecord, TopicRecord
from horus_core.recording.format.sanity import absurd
from tests.recordings import Recording

NODE = NodeRecord("n", 50.0, 0, [TopicRecord("t")], [TopicRecord("u")])
GRAPH = GraphRecord(100.0, 0, True, 0, 0, [NODE], [LaneRecord("t", "n")])
HEADER = Header(format=1, kind="node", session="s", id="0a", part=0, node="n", created_ns=0, graph=GRAPH)


def changed(place: str, value: Any) -> Header:
    """The header with another value at a place such as ``graph.nodes.rate``."""
    replace = msgspec.structs.replace
    *path, field = place.split(".")
    if not path:
        return replace(HEADER, **{field: value})
    graph = GRAPH
    if path[1:] == ["nodes"]:
        graph = replace(GRAPH, nodes=[replace(NODE, **{field: value})])
    elif path[1:] == ["nodes", "pubs"]:
        graph = replace(GRAPH, nodes=[replace(NODE, pubs=[replace(NODE.pubs[0], **{field: value})])])
    elif path[1:] == ["lanes"]:
        graph = replace(GRAPH, lanes=[replace(GRAPH.lanes[0], **{field: value})])
    else:
        graph = replace(GRAPH, **{field: value})
    return replace(HEADER, graph=graph)


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("graph.tick_rate", [0, -100.0, 1e300, 1e7]),
        ("graph.first_tick", [-5, 2**62, 10**30]),
        ("graph.seed", [10**30]),
        ("graph.epoch_ns", [10**30]),
        ("graph.nodes.rate", [0, -1, 1e300, 101.0]),
        ("graph.nodes.order", [10**30]),
        ("graph.nodes.core", [-2, 10**9]),
        ("graph.nodes.name", ["", "x" * 1_000_000]),
        ("graph.nodes.on", ["x" * 1_000_000]),
        ("graph.nodes.pubs.capacity", [0, -1, 2**26]),
        ("graph.nodes.pubs.name", ["", "x" * 1_000_000]),
        ("graph.nodes.pubs.type", ["x" * 1_000_000]),
        ("graph.lanes.topic", ["", "x" * 1_000_000]),
        ("graph.lanes.node", ["x" * 1_000_000]),
        ("script", ["x" * 1_000_000]),
        ("created_ns", [-1, 10**30]),
        ("part", [-1, 10**30]),
    ],
)
def test_what_no_recorder_writes_is_named(place: str, values: list[Any]) -> None:
    for value in values:
        said = absurd(changed(place, value))
        assert said, (place, value)
        assert len(said) < 300


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("graph.tick_rate", 100_000.0),
        ("graph.nodes.rate", 100.0),
        ("graph.nodes.pubs.capacity", 1 << 20),
        ("node", "x" * 500),
    ],
)
def test_what_a_recorder_may_write_is_taken(place: str, value: Any) -> None:
    assert absurd(HEADER) == ""
    assert absurd(changed(place, value)) == ""


def test_a_session_with_such_headers_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingDamaged, match="its header makes no sense: the tick rate is -100"):
        Recording({"n": ["t"]}, tick_rate=-100.0).write(tmp_path / "s")
