from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.errors import InvalidValue
from horus_core.graph.spec import Graph, NodeSpec, TopicSpec, build_graph
from horus_core.recording.reading.reader import Session
from horus_core.replay.override_shape import check_overrides
from tests.recordings import Recording


class Wheel(msgspec.Struct):
    speed: float
    slip: float = 0.0


class Wheels(msgspec.Struct, omit_defaults=True):
    left: Wheel
    right: Wheel | None = None
    others: list[Wheel] = []


@dataclass
class Pose:
    x: float
    y: float = 0.0


def graph(kind: Any) -> Graph:
    source = NodeSpec("src", 10.0, pubs=(TopicSpec("t"),), replayed=True)
    return build_graph([source, NodeSpec("ctl", 10.0, subs=(TopicSpec("t", kind),))], 10.0)


def check(kind: Any, value: Any, session: Session | None = None) -> None:
    check_overrides({("src", "t"): value}, {} if session is None else {"src": session}, graph(kind))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Wheels, {"left": {"speed": 1}}),
        (Wheels, {"left": {"speed": 1, "slip": 2}, "right": {"speed": 0}, "others": [{"speed": 1}]}),
        (Wheels, Wheels(Wheel(1.0))),
        (Wheels, b"any bytes"),
        (Wheels, lambda value: value),
        (Pose, {"x": 1}),
        (float, 1),
        (list, [1]),
        (None, {"whatever": 0}),
    ],
)
def test_what_fits_the_type_is_taken(kind: Any, value: Any) -> None:
    check(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Wheels, {"lefty": 0}, "missing required field `left`"),
        (Wheels, {"left": {"speed": 1}, "lefty": 0}, "'lefty'; did you mean 'left'"),
        (Wheels, {"left": {"speed": 1, "slpi": 0}}, "'left.slpi'; did you mean 'slip'"),
        (Wheels, {"left": {"speed": 1}, "right": {"speed": 1, "x": 0}}, "'right.x'"),
        (Wheels, {"left": {"speed": 1}, "others": [{"speed": 1, "x": 0}]}, "'others.x'"),
        (Wheels, {"left": {"speed": "fast"}}, "Expected `float`"),
        (Wheels, 5, "a Wheels"),
        (Pose, {"x": 1, "z": 2}, "'z'"),
        (float, "fast", "float"),
    ],
)
def test_another_shape_or_a_misspelt_field_is_refused_in_one_line(kind: Any, value: Any, said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check(kind, value)
    assert said in str(caught.value)
    assert "topic 't' of 'src'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_live_type_the_first_message_shows_the_fields(tmp_path: Path) -> None:
    def session(types: dict[str, str]) -> Session:
        return (
            Recording({"src": ["t"]}, types=types)
            .add("src", "t", [{"left": 1.0, "right": 2.0}] * 3)
            .write(tmp_path / f"s{len(types)}")
        )

    typed = session({"t": "Wheels"})
    check(None, {"left": 0}, typed)
    for value, said in (({"left": 1, "lefty": 0}, "did you mean 'left'"), (5, "a dict with left, right")):
        with pytest.raises(InvalidValue, match=said):
            check(None, value, typed)
    check(None, {"anything": 1}, session({}))
