"""The exceptions: they cross processes whole, and word themselves in one line that names the thing and the remedy."""

from __future__ import annotations

import copy
import pickle

import pytest

from horus_core import errors
from horus_core.errors import HorusError, NodeFailed, StartFailed, UnknownNode, UnknownTopic, closest

EXAMPLES: dict[str, tuple[object, ...]] = {
    "HorusError": ("something went wrong",),
    "InvalidValue": ("node 'a': rate", "-1", "a number above 0 Hz"),
    "DuplicateNode": ("sensor",),
    "TopicConflict": ("cmd", "Twist", "CmdVel"),
    "MachineError": ("the machine has no more of it",),
    "TooFewFiles": (40, 16),
    "UnsafeFolder": ("/tmp/horus-1000", "it belongs to user 0, not 1000", "set XDG_RUNTIME_DIR"),
    "UnknownTopic": ("sensor", "send", "sensor.raeding", ("sensor.reading", "sensor.status")),
    "UnsendableValue": ("sensor", "sensor.reading", "Lock", "a _thread.lock is not data"),
    "UnknownSample": ("driver", "gsp", ("gps", "imu")),
    "SampleMissing": ("driver", 7, "gps", "monday"),
    "UndecodableMessage": ("sensor.reading", "unknown encoding 9"),
    "UnshippableCallable": ("sensor", "tick: global 'lock'", "a _thread.lock", "create it in init"),
    "UnknownNode": ("the replay", "sensr", ("sensor", "controller")),
    "EmptyGraph": (),
    "SchedulerBusy": ("cannot run", "running already"),
    "SharedMemoryFull": ("segment '0.3'", 12_582_912, 4096),
    "NodeFailed": ("sensor", 17, "raised an exception", ""),
    "StartFailed": ("sensor", "ValueError: no such port", ""),
    "ScriptFailed": ("robot.py", "ImportError: no module named 'arm'", ""),
    "OutputFailed": ("/tmp/x.csv", "Permission denied"),
    "RecordingError": ("something is wrong with it",),
    "RecordingMissing": ("/tmp/x", "'horus record list' shows what there is"),
    "NotARecording": ("/tmp/x", "a text file", "give a recording's .arrow file"),
    "RecordingDamaged": ("/tmp/x", "in ticks 3 to 9", "its checksum does not match"),
    "RecordingTooNew": ("/tmp/x", 9, 1),
    "RecordingExists": ("run_7",),
    "ReplayRange": ("start_at_tick(900) is outside session 'run_7'", 0, 499),
    "SessionsConflict": ("sensor", "run_7", "run_8"),
    "RecorderFailed": ("its process was killed by SIGKILL",),
    "NotRunning": ("called 'robot'", "running now: none"),
}

REMEDIES = {
    "DuplicateNode": "name=",
    "UnknownTopic": "add it to pubs=",
    "UnsendableValue": "send None, bool, int",
    "UnshippableCallable": "create it in init",
    "EmptyGraph": "add(Node(",
    "SharedMemoryFull": "--shm-size",
    "RecordingTooNew": "upgrade",
    "RecordingExists": "choose another name",
    "TopicConflict": "declare one type",
}


def subclasses(kind: type[HorusError]) -> list[type[HorusError]]:
    return [kind, *(each for direct in kind.__subclasses__() for each in subclasses(direct))]


OURS = sorted(
    {kind for kind in subclasses(HorusError) if kind.__module__ == errors.__name__}, key=lambda kind: kind.__name__
)


def examples() -> list[HorusError]:
    return [kind(*EXAMPLES[kind.__name__]) for kind in OURS if kind.__name__ in EXAMPLES]


def test_every_exception_has_its_example_here() -> None:
    assert {kind.__name__ for kind in OURS} == set(EXAMPLES)


@pytest.mark.parametrize("problem", examples(), ids=lambda each: type(each).__name__)
def test_it_survives_pickle_and_copy(problem: HorusError) -> None:
    for other in (pickle.loads(pickle.dumps(problem)), copy.copy(problem), copy.deepcopy(problem)):
        assert type(other) is type(problem)
        assert other.args == problem.args
        assert str(other) == str(problem)


@pytest.mark.parametrize("problem", examples(), ids=lambda each: type(each).__name__)
def test_it_is_one_line_that_holds_its_facts(problem: HorusError) -> None:
    text = str(problem)
    assert text.strip() == text
    assert text
    assert "\n" not in text
    for fact in problem.args:
        if isinstance(fact, str):
            assert fact in text
        elif isinstance(fact, int):
            assert f"{fact:,}" in text or str(fact) in text
        elif isinstance(fact, tuple):
            assert all(repr(each) in text for each in fact)


@pytest.mark.parametrize(("name", "remedy"), REMEDIES.items())
def test_it_says_what_to_do(name: str, remedy: str) -> None:
    assert remedy in str(getattr(errors, name)(*EXAMPLES[name]))


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_its_docstring_says_whose_fault_it_is(kind: type[HorusError]) -> None:
    assert kind.__doc__
    if kind not in (HorusError, errors.RecordingError, errors.NodeFailed, errors.StartFailed, errors.RecorderFailed):
        assert kind.__doc__.split(":")[0] in ("The caller's", "The machine's", "The file's") or "Args:" in kind.__doc__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidValue, ValueError),
        (errors.UnknownTopic, KeyError),
        (errors.UnsendableValue, TypeError),
        (errors.RecordingMissing, FileNotFoundError),
        (errors.RecordingExists, FileExistsError),
        (errors.SharedMemoryFull, MemoryError),
    ],
)
def test_who_catches_the_builtin_catches_ours(kind: type[HorusError], builtin: type[BaseException]) -> None:
    with pytest.raises(builtin, match=r"\w"):
        raise kind(*EXAMPLES[kind.__name__])


def test_a_typo_gets_the_closest_name() -> None:
    assert "did you mean 'sensor.reading'?" in str(UnknownTopic(*EXAMPLES["UnknownTopic"]))
    assert "did you mean 'sensor'?" in str(UnknownNode(*EXAMPLES["UnknownNode"]))
    assert closest("sensor.reading", ["ctrl.cmd"]) == ""
    assert "did you mean" not in str(UnknownNode("the graph", "zzz", ("sensor",)))


def test_send_speaks_of_pubs_and_recv_of_subs() -> None:
    sending, receiving = str(UnknownTopic("a", "send", "t", ())), str(UnknownTopic("a", "recv", "t", ()))
    assert "publish" in sending
    assert "pubs=" in sending
    assert "subscribe" in receiving
    assert "subs=" in receiving
    assert "no topic" in receiving


def test_a_failed_node_shows_its_own_traceback_below_the_line() -> None:
    trace = (
        'Traceback (most recent call last):\n  File "robot.py", line 3, in tick\nZeroDivisionError: division by zero'
    )
    for problem in (
        NodeFailed("arm", 12, "raised an exception", trace),
        StartFailed("arm", "ZeroDivisionError", trace),
    ):
        head, _, rest = str(problem).partition("\n")
        assert "'arm'" in head
        assert rest == trace
    assert "in tick 12" in str(NodeFailed("arm", 12, "raised", ""))
    assert "in tick" not in str(NodeFailed("arm", None, "raised", ""))
