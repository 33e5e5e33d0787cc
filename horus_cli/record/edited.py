"""Shows a session that was made of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from horus_cli import show

if TYPE_CHECKING:
    from horus_core.recording.keeping.edit import EditReport


def show_edit(report: EditReport) -> None:
    """Says what the new session holds; damage on stderr."""
    for line in report.damage:
        show.complain(show.one_line(line))
    show.say(
        f"made {report.session}: ticks {report.first_tick} to {report.last_tick}, {report.messages:,} messages, "
        f"in {show.one_line(report.folder)}"
    )
