"""Injection: a script's nodes run live against recorded ones, and what they send is compared with what was recorded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from horus_core.errors import InvalidValue, NodeFailed, RecordingMissing, UnknownNode
from horus_core.graph.spec import EXTERNAL
from horus_core.project.manifest import read_project
from horus_core.recording.compare import Comparison, compare
from horus_core.recording.compare.tolerance import Given
from horus_core.recording.format.patterns import expanded
from horus_core.recording.keeping.sessions import recordings_folder
from horus_core.recording.reading.reader import Session
from horus_core.scheduler import launch as launching
from horus_core.scheduler.scheduler import Scheduler
from horus_core.scheduler.script import capture_graph

_TEMPORARY = ".injected-"  # then the id of the process; a leading dot keeps it out of the list of sessions


class InjectionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an injection came to.

    Attributes:
        session: the recorded session.
        script: the script whose nodes ran.
        script_state: "given", "unchanged" (since the session was recorded), "changed" or "copy" (the session's own).
        replayed, live: the nodes.
        left_out: recorded nodes that are neither.
        first_tick, last_tick: what ran, both included.
        recorded_as: the session that the run was recorded under, '' if it was not kept.
        equal: whether the live nodes sent what they had sent when they were recorded, up to the end; None if none of them
            was. A run that failed is never equal, whatever it had sent until then.
        failure: what ended the run, '' if no node did.
        comparison: of the recorded session (a) with this run (b), the live nodes only; None if none of them was recorded.
    """

    session: str
    script: str
    script_state: str
    replayed: list[str]
    live: list[str]
    left_out: list[str]
    first_tick: int
    last_tick: int
    recorded_as: str
    equal: bool | None
    failure: str
    comparison: Comparison | None


@dataclass(frozen=True)
class Script:
    """A script to take live nodes from; `state` as in :class:`InjectionResult`."""

    path: Path
    state: str


def find_script(session: Session) -> Script:
    """The script that `session` was recorded from: where it was, else the copy that the session holds.

    Raises:
        RecordingMissing: neither is there.
    """
    recorded = Path(session.header.script)
    if recorded.is_file():
        return Script(recorded, "unchanged" if _is_as_recorded(recorded, session) else "changed")
    copy = session.folder / "source" / recorded.name
    if recorded.name and copy.is_file() and not copy.is_symlink():
        return Script(copy, "copy")
    where = f"; it was {recorded}" if recorded.name else ""
    raise RecordingMissing(f"{copy.parent} of the script behind session {session.name!r}", f"name a script{where}")


def _is_as_recorded(script: Path, session: Session) -> bool:
    return hashlib.sha256(script.read_bytes()).hexdigest() == session.header.script_sha256


@dataclass
class Injection:
    """An injection that is ready to run; made by :func:`prepare`.

    Attributes:
        session: what is replayed from.
        script: whose nodes run.
        scheduler: the graph; speed, range of ticks and overrides can be set on it.
        replayed, live, left_out: as in :class:`InjectionResult`.
    """

    session: Session
    script: Script
    scheduler: Scheduler
    replayed: list[str]
    live: list[str]
    left_out: list[str]

    def remarks(self) -> list[str]:
        """What whoever runs this should know, a line each."""
        found = []
        if self.script.state == "changed":
            found.append(f"{self.script.path} has changed since {self.session.name} was recorded; it runs as it is now")
        elif self.script.state == "copy":
            changed = "" if _is_as_recorded(self.script.path, self.session) else ", which is not what was recorded"
            found.append(
                f"{self.session.header.script} is gone; the copy in the session runs{changed}: {self.script.path}"
            )
        if self.left_out:
            found.append(f"neither replayed nor in the script, so left out: {', '.join(self.left_out)}")
        for node in self.scheduler.live_nodes:
            then = self.session.nodes.get(node.name)
            if then is not None and not then.on and node.spec.on is None and then.rate != node.spec.rate:
                found.append(
                    f"{node.name} runs at {node.spec.rate:g} Hz now, and ran at {then.rate:g} Hz when it was recorded"
                )
        sent = {topic.name for name in self.replayed for topic in self.session.nodes[name].pubs}
        heard = {topic for node in self.scheduler.live_nodes for topic in node.subscribers()}
        if not sent & heard:
            wanted = ", ".join(sorted(heard)) or "nothing"
            found.append(f"no live node hears what is replayed ({', '.join(sorted(sent))}); they subscribe to {wanted}")
        return found

    def run(
        self,
        record: str | None = None,
        overwrite: bool = False,
        output: Callable[[str, str], None] | None = None,
        started: Callable[[Scheduler], None] | None = None,
        ended: Callable[[Scheduler], None] | None = None,
        inline: bool = False,
        tolerance: Given = 0.0,
        tolerances: Mapping[str, Given] | None = None,
    ) -> InjectionResult:
        """Runs it, once, and compares.

        Args:
            record: the session to record this run under; without it the recording is deleted after the comparison.
            overwrite: replace a session of that name.
            inline: run all nodes in this process, for a debugger.
            output, started, ended: as for :class:`horus_core.scheduler.launch.Launch`.
            tolerance, tolerances: what numbers may differ by, as for :func:`horus_core.recording.compare.compare`.

        Raises:
            RecordingExists: there is a session named `record`.
            StartFailed: a live node did not start.
            Interrupted: Ctrl-C.
        """
        failure: NodeFailed | None = None
        with _temporary_folder() as temporary:
            launch = launching.Launch(
                record=record or temporary,
                overwrite=overwrite,
                execution="inline" if inline else None,
                output=output,
                started=started,
                ended=ended,
            )
            with launching.launched(launch):
                try:
                    self.scheduler.run()
                except NodeFailed as problem:
                    failure = problem
            run = Session(Path(self.scheduler.stop_recording()[0]).parent)
            comparison = self._compare(run, tolerance, tolerances)
        return InjectionResult(
            session=self.session.name,
            script=str(self.script.path),
            script_state=self.script.state,
            replayed=self.replayed,
            live=self.live,
            left_out=self.left_out,
            first_tick=run.graph.first_tick,
            last_tick=self.scheduler.current_tick() - 1,
            recorded_as=run.name if record else "",
            equal=None if comparison is None else comparison.equal and not failure,
            failure=str(failure) if failure else "",
            comparison=comparison and msgspec.structs.replace(comparison, b=run.name if record else ""),
        )

    def _compare(self, run: Session, tolerance: Given, tolerances: Mapping[str, Given] | None) -> Comparison | None:
        both = [name for name in self.live if name in self.session.nodes]
        last = self.scheduler.current_tick() - 1
        lanes = [lane.recorded for lane in self.session.graph.lanes if lane.node in both]
        if not both or last < run.graph.first_tick or (lanes and not any(lanes)):
            return None  # there is nothing that anything could be equal to
        return compare(
            self.session,
            run,
            nodes=both,
            start_tick=run.graph.first_tick,
            stop_tick=last,
            tolerance=tolerance,
            tolerances=tolerances,
        )


def prepare(
    session: Session,
    nodes: Sequence[str] | None = None,
    all_but: Sequence[str] | None = None,
    script: str | os.PathLike[str] | None = None,
    arguments: Sequence[str] = (),
) -> Injection:
    """Makes the graph: recorded nodes, and the others of a script.

    Args:
        session: the recorded session.
        nodes: these are replayed. In a name, ``*`` and ``?`` stand for any letters.
        all_but: all recorded nodes but these are replayed; exactly one of the two is given.
        script: whose nodes run live, or the folder of a project; by default the script that `session` was recorded from.
        arguments: its ``sys.argv[1:]``. What it prints before its graph would run goes to stderr.

    Raises:
        UnknownNode: a name is none of the recorded nodes', or none at all.
        InvalidValue: no node is left to run live, or the script replays a recording itself.
        RecordingMissing: see :func:`find_script`; or the file of a node is gone.
        ScriptFailed: the script ended before it ran a graph.
    """
    recorded = list(session.nodes)
    nodes = None if nodes is None else expanded(nodes, recorded)
    for name in nodes or ():
        if name not in recorded:
            raise UnknownNode(f"session {session.name!r}", name, recorded)
    chosen, launch = find_script(session) if script is None else Script(Path(script), "given"), None
    if chosen.path.is_dir():
        project = read_project(chosen.path)
        chosen, launch = Script(project.script, "given"), launching.Launch(nodes=project.nodes)
    with contextlib.redirect_stdout(sys.stderr):
        scheduler = _graph_of(session, chosen, arguments, launch)
    own = scheduler.get_node_names()
    all_but = None if all_but is None else expanded(all_but, own)
    for name in all_but or ():
        if name not in own:
            raise UnknownNode(f"the script {str(chosen.path)!r}", name, own)
    replayed = [name for name in recorded if name not in (all_but or ())] if nodes is None else list(nodes)
    live = [name for name in own if name not in replayed]
    if not live:
        raise InvalidValue(
            "what is left to run live", "nothing", f"not to replay all nodes of the script ({', '.join(own)})"
        )
    for name in replayed:
        if not session.has_file(name):
            raise RecordingMissing(f"{session.folder} for node {name!r}", "its file is gone; run it live")
    for name in [*replayed, EXTERNAL]:
        if scheduler.has_node(name):
            scheduler.remove(name)
        for file in session.node_files(name)[:1]:
            scheduler.add_replay(file.path)
    left_out = [name for name in recorded if name not in replayed and name not in live]
    return Injection(session, chosen, scheduler, [name for name in recorded if name in replayed], live, left_out)


def _graph_of(session: Session, script: Script, arguments: Sequence[str], launch: launching.Launch | None) -> Scheduler:
    if script.state == "copy":  # what it imports stands beside the original, if anywhere
        sys.path.insert(0, str(Path(session.header.script).parent))
    scheduler = capture_graph(script.path, arguments, launch)
    if scheduler.is_replaying():
        raise InvalidValue("the script", repr(str(script.path)), "one whose first run is live, not a replay")
    return scheduler


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A path beside the sessions, whose folder is deleted in the end; what a killed process left is deleted too."""
    base = recordings_folder()
    for left in base.glob(f"{_TEMPORARY}*"):
        if not Path("/proc", left.name.removeprefix(_TEMPORARY)).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = base / f"{_TEMPORARY}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
