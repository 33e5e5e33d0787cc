"""``horus record repair``: makes a session whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.differences import count
from horus_cli.record.options import session_argument

if TYPE_CHECKING:
    from horus_core.recording.keeping.repair import FileRepair, RepairReport


@click.command("repair")
@session_argument()
@json_option()
def command(session: str, as_json: bool) -> None:
    """Make the files of SESSION whole that were cut short or damaged, and say what is kept and what is lost.

    Every batch that reads is kept. Bytes that do not read go to the folder "damaged" in the session.
    """
    from horus_core.recording.keeping.repair import repair
    from horus_core.recording.keeping.sessions import find_session

    found = find_session(session)
    with progress("repairing", found):
        report = repair(found)
    if as_json:
        show.as_json(report)
        return
    for line in report.left_alone:
        show.complain(show.one_line(line))
    for file in report.files:
        _show_file(file)
    show.say(_result(report))
    for loss in report.losses:
        show.say(f"  {show.one_line(loss)}")


def _show_file(file: FileRepair) -> None:
    held = f"ticks {file.first_tick} to {file.last_tick}" if file.rows else "nothing"
    show.say(f"{show.one_line(file.path)}: kept {count(file.rows, 'row')}, {held}")
    for lost in file.lost:
        words = [show.one_line(lost.what)]
        if lost.bytes:
            words.append(f"{show.size(lost.bytes)} kept as {show.one_line(lost.saved_as)}")
        if lost.rows > 0:
            words.append(f"{count(lost.rows, 'row')} lost")
        if lost.ticks:
            words.append(f"at most {count(lost.ticks, 'tick')} ({show.duration(lost.seconds)}) lost")
        show.say(f"  {'; '.join(words)}")


def _result(report: RepairReport) -> str:
    if not report.files and report.left_alone:
        left = count(len(report.left_alone), "file")
        return f"{report.session} has nothing that can be repaired: {left} left alone; {_loss(report)}"
    if not report.files:
        whole = f"{count(report.untouched, 'file')}, nothing to repair"
        if report.losses or not report.counted:
            return f"the files of {report.session} are whole: {whole}; {_loss(report)}"
        return f"{report.session} is whole: {whole}"
    return (
        f"{report.session} is whole again: {count(report.ticks, 'tick')}, {count(report.messages, 'message')}, "
        f"{_loss(report)}; {count(report.untouched, 'file')} needed nothing"
    )


def _loss(report: RepairReport) -> str:
    least = "" if report.counted else "at least "
    if report.lost_messages:
        return f"{least}{count(report.lost_messages, 'message')} missing"
    return "no message missing" if report.counted else "no message missing between others; the end was not counted"
