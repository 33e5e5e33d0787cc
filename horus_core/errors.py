"""Every exception a user can meet.

One base, :class:`HorusError`. An exception takes the facts as arguments and words itself, in one line that names the
thing, what was expected and what to try; so it survives a pickle round trip between processes and a program can read
the facts from ``args``.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ClassVar


def closest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'scan'?"`` for the known name nearest to `name`, else an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


class HorusError(Exception):
    """Base of all errors of HORUS. Catch this to catch whatever the runtime refuses."""

    words: ClassVar[str] = "{0}"

    def __str__(self) -> str:
        return self.words.format(*self.args)


class MachineError(HorusError):
    """The machine's: base of what it refuses whatever the script says, so no line of a script is to blame.

    A script that does not catch one ends with its words in one line on standard error and exit code 1; there is no traceback.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        if not isinstance(sys.excepthook, _OneLine):
            sys.excepthook = _OneLine(sys.excepthook)


class _OneLine:
    """Shows a :class:`MachineError` that ends a script; hands on what is none."""

    def __init__(self, others: Callable[..., Any]) -> None:
        self._others = others

    def __call__(self, kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(problem, MachineError):
            self._others(kind, problem, trace)
        elif sys.stderr is not None:
            print(f"horus: {problem}", file=sys.stderr)


class InvalidValue(HorusError, ValueError):
    """The caller's: an argument is not what it must be. Args: what, the value's repr, what is expected."""

    words = "{0} is {1}; expected {2}"


class DuplicateNode(HorusError, ValueError):
    """The caller's: two nodes of a graph have one name. Args: the name."""

    words = "a node named {0!r} is in the graph already; give each node its own name="


class TopicConflict(HorusError, ValueError):
    """The caller's: two declarations of a topic name different types. Args: topic, type, other type."""

    words = "topic {0!r} is declared both as {1} and as {2}; declare one type for it"


class UnknownTopic(HorusError, KeyError):
    """The caller's: a node uses a topic that it did not declare. Args: node, verb, topic, declared topics."""

    def __str__(self) -> str:
        node, verb, topic, declared = self.args
        kind = "publish" if verb == "send" else "subscribe to"
        listing = ", ".join(repr(name) for name in declared) if declared else "no topic"
        keyword = "pubs" if verb == "send" else "subs"
        return (
            f"node {node!r} cannot {verb} on {topic!r}: it does not {kind} it (its {keyword}: {listing}); "
            f"add it to {keyword}={closest(topic, declared)}"
        )


class UnknownSample(HorusError, KeyError):
    """The caller's: a node reads a side input that it did not declare. Args: node, name, declared names."""

    def __str__(self) -> str:
        node, name, declared = self.args
        return (
            f"node {node!r} did not declare the side input {name!r}, and none of its callbacks names it literally (its side "
            f"inputs: {', '.join(map(repr, declared)) or 'none'}); add it to samples={closest(name, declared)}"
        )


class SampleMissing(HorusError):
    """The caller's: a node asks for a side input that was not recorded there. Args: node, tick, name, session."""

    words = (
        "node {0!r} reads side input {2!r} in tick {1}, and session {3!r} has none there: it did not read it in that tick "
        "when it was recorded; record it anew with this version"
    )


class UnsendableValue(HorusError, TypeError):
    """The caller's: a value has a type that no topic carries. Args: node, topic, type name, why."""

    words = (
        "node {0!r} cannot send {2} on topic {1!r}: {3}; send None, bool, int, float, str, bytes, list, dict, "
        "NumPy arrays and scalars, dataclasses or msgspec.Struct"
    )


class UndecodableMessage(HorusError, ValueError):
    """A payload does not decode as its topic's values do. Args: topic, why."""

    words = "a message on topic {0!r} cannot be decoded: {1}"


class UnshippableCallable(HorusError, TypeError):
    """The caller's: a node's callable holds something that cannot go to another process. Args: node, path, type, remedy."""

    words = "node {0!r} cannot be sent to its process: {1} is {2}; {3}"


class UnknownNode(HorusError, KeyError):
    """The caller's: no such node. Args: where, name, known names."""

    def __str__(self) -> str:
        where, name, known = self.args
        listing = ", ".join(repr(each) for each in known) if known else "none"
        return f"{where} has no node {name!r} (it has: {listing}){closest(name, known)}"


class EmptyGraph(HorusError, RuntimeError):
    """The caller's: a run without nodes."""

    words = "the scheduler has no nodes; add one with add(Node(...)) before it runs"


class SchedulerBusy(HorusError, RuntimeError):
    """The caller's: the scheduler runs already, or is in the wrong state for the call. Args: what was asked, state."""

    words = "{0}: the scheduler is {1}"


class SharedMemoryFull(MachineError, MemoryError):
    """The machine's: /dev/shm has no room. Args: what for, needed bytes, available bytes."""

    words = (
        "/dev/shm is too small for {0}: needed {1:,} bytes, available {2:,}; free some (horus clean --shm), "
        "enlarge it (mount -o remount,size=1G /dev/shm; docker run --shm-size=1g), or send smaller messages"
    )


class TooFewFiles(MachineError, RuntimeError):
    """The machine's: a graph needs more open files than a process may have. Args: how many it needs, the limit."""

    words = (
        "the graph needs {0} open files in one process, and the limit is {1}; raise it with ulimit -n {0} "
        "(LimitNOFILE={0} in a systemd unit, docker run --ulimit nofile={0})"
    )


class UnsafeFolder(MachineError, RuntimeError):
    """The machine's: a folder that others could tamper with, or that cannot be used. Args: it, what is wrong, remedy."""

    words = "{0} cannot be used: {1}; {2}"


class NodeFailed(HorusError, RuntimeError):
    """A node ended the graph. Args: node, tick (or None), what happened, the node's own traceback ('' if none)."""

    def __str__(self) -> str:
        node, tick, what, trace = self.args
        where = f" in tick {tick}" if tick is not None else ""
        head = f"node {node!r} {what}{where}; the graph has ended"
        return f"{head}\n{trace}" if trace else head


class StartFailed(HorusError, RuntimeError):
    """A node could not start, so the graph did not. Args: node, what happened, its traceback ('' if none)."""

    def __str__(self) -> str:
        node, what, trace = self.args
        head = f"node {node!r} did not start: {what}; the graph was not started"
        return f"{head}\n{trace}" if trace else head


class ScriptFailed(HorusError, RuntimeError):
    """The script's: it ended before it ran a graph. Args: its path, what happened, its own traceback ('' if none)."""

    def __str__(self) -> str:
        path, what, trace = self.args
        head = f"the script {path!r} did not run a graph: {what}"
        return f"{head}\n{trace}" if trace else head


class RecordingError(HorusError):
    """Base of what is wrong with a recording or a request about one."""


class RecordingMissing(RecordingError, FileNotFoundError):
    """The caller's: no such recording. Args: path or name, what to try."""

    words = "no recording at {0}; {1}"


class NotARecording(RecordingError, ValueError):
    """The caller's: the file is something else. Args: path, what it is, what to try."""

    words = "{0} is {1}; {2}"


class RecordingDamaged(RecordingError, ValueError):
    """The file's: it holds less than it should, or other data. Args: path, where, what."""

    words = "{0} is damaged {1}: {2}; 'horus record repair' keeps what is readable"


class RecordingTooNew(RecordingError, ValueError):
    """The file's: written by a later version. Args: path, its format, the newest format that this version reads."""

    words = "{0} has recording format {1}, this version of HORUS reads up to {2}; upgrade with pip install -U horus-supervisor"


class RecordingExists(RecordingError, FileExistsError):
    """The caller's: a session of that name exists. Args: name."""

    words = "a session named {0!r} exists already; choose another name, put {{date}} into it, or delete it first"


class ReplayRange(RecordingError, ValueError):
    """The caller's: a range of ticks that the recording does not have. Args: what, first, last tick of the recording."""

    words = "{0}; the recording holds ticks {1} to {2}"


class SessionsConflict(RecordingError, ValueError):
    """The caller's: two sessions do not go into one. Args: one name, other name, why."""

    words = "cannot merge {0!r} and {1!r}: {2}"


class OutputFailed(MachineError, RecordingError, OSError):
    """The caller's or the machine's: a file cannot be written. Args: path, why."""

    words = "cannot write {0}: {1}"


class RecorderFailed(RecordingError, RuntimeError):
    """The recorder ended early. Args: what happened."""

    words = "the recorder stopped: {0}; what it wrote until then is kept"


class NotRunning(HorusError, RuntimeError):
    """The caller's: no running graph to talk to. Args: what was looked for, what runs."""

    words = "no running graph {0}; {1}"
