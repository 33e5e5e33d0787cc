"""The recordings of a scheduler: ending one, saving the flight recorder, listing and deleting sessions."""

from __future__ import annotations

import logging

from horus_core.errors import SchedulerBusy
from horus_core.execution.phase import Phase
from horus_core.recording.keeping import sessions
from horus_core.scheduler.parts import Parts
from horus_core.scheduler.run_state import RunState

_log = logging.getLogger("horus")


class Recordings(Parts):
    """What a scheduler does with recordings."""

    def _finish(self) -> None:
        """Ends the graph, if there is one: every node's ``shutdown`` runs, the recording is closed."""
        run = self._run
        engine, run.engine = run.engine, None
        if engine is None:
            return
        started = engine.phase is not Phase.NEW
        try:
            engine.stop()
        finally:
            run.paths = list(engine.paths) or run.paths
            run.to(RunState.STOPPED)
            self._statistics.end(engine, started)

    def stop_recording(self) -> list[str]:
        """The files of the recording, closed, the ``scheduler@...`` file first. Ends a run that is only stepping.

        Returns:
            An empty list, and one warning that says why, if nothing was recorded.
        """
        if self._run.running:
            raise SchedulerBusy("cannot stop the recording", "running; it ends with the run, or call stop() first")
        self._finish()
        if not self._settings.wanted_session:
            _log.warning("stop_recording() is empty: recording=True was not set in Scheduler(...)")
            return []
        if not self._run.paths:
            _log.warning("stop_recording() is empty: the scheduler did not run; call run(duration=...) before it")
            return []
        return list(self._run.paths)

    def save_blackbox(self, name: str | None = None) -> str:
        """Saves what the flight recorder holds now as a session.

        Args:
            name: the session's name; None: ``blackbox_``, the graph's name and the date.

        Returns:
            The session's folder.

        Raises:
            SchedulerBusy: there is no flight recorder (``blackbox_mb=0``), or the graph does not run.
        """
        from horus_core.recording.keeping.blackbox import save_blackbox

        if self._run.engine is None or self._run.engine.blackbox is None:
            state = "without one (set blackbox_mb=)" if not self._settings.blackbox_mb else self._run.state.value
            raise SchedulerBusy("cannot save the flight recorder", state)
        folder = save_blackbox(self._run.engine.blackbox, name)
        if folder is None:
            raise SchedulerBusy("cannot save the flight recorder", "just starting; nothing is recorded yet")
        return str(folder)

    def list_recordings(self) -> list[str]:
        """The names of all recorded sessions.

        Returns:
            An empty list, and one warning that says why, without ``recording=True``.
        """
        if not self._settings.wanted_session:
            _log.warning("list_recordings() is empty: recording=True was not set in Scheduler(...)")
            return []
        return sessions.session_names()

    def delete_recording(self, name: str) -> bool:
        """Deletes a session. Returns whether there was one; raises InvalidValue for what cannot be a name."""
        from horus_core.recording.keeping.sessions import delete_session

        return delete_session(name)
