"""Every error of the daemon is one line, and survives the way to another process."""

from __future__ import annotations

import inspect
import pickle

import pytest

from horus_core.errors import HorusError
from horus_daemon import errors

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "DaemonNotRunning": ("/run", "horus daemon start"),
    "DaemonRuns": (7, "/run"),
    "DaemonDied": (1, "said"),
    "DaemonSilent": ("status", 5.0),
    "DaemonForbidden": ("/run/s",),
    "DaemonRefused": ("invalid", "no"),
    "UnsafeFolder": ("/run", "a link", "remove it"),
    "GraphFailed": ("robot", "no camera", "/log"),
    "UnknownGraph": ("robt", ("robot",)),
}
CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]


def test_each_is_tried() -> None:
    assert {each.__name__ for each in CLASSES} == set(ARGUMENTS)


@pytest.mark.parametrize("kind", CLASSES)
def test_it_says_all_it_knows_in_one_line_and_travels(kind: type[HorusError]) -> None:
    problem = kind(*ARGUMENTS[kind.__name__])
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), again.args, str(again)) == (kind, problem.args, str(problem))
    assert "\n" not in str(problem)
    for fact in problem.args[1:] if kind is errors.DaemonRefused else problem.args:
        assert str(fact) in str(problem) or f"{fact:g}" in str(problem) if isinstance(fact, (str, float)) else True


def test_the_nearest_name_is_proposed() -> None:
    assert "did you mean 'robot'?" in str(errors.UnknownGraph("robt", ("robot",)))
