"""``horus record clean``: clears old sessions away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.record.asking import confirmed
from horus_cli.record.differences import count
from horus_cli.record.options import yes_option
from horus_cli.tables import Column, table, wide_option

if TYPE_CHECKING:
    from horus_core.recording.keeping.clean import CleanReport


@click.command("clean")
@click.option("--max-age-days", type=click.FloatRange(min=0), metavar="N", help="Delete sessions that are older.")
@click.option(
    "--max-size",
    type=click.FloatRange(min=0),
    metavar="GB",
    help="Then the oldest, until the rest is no larger than this.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@yes_option
@wide_option
@json_option()
def command(max_age_days: float | None, max_size: float | None, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Delete old sessions. Asks first; those that are being recorded are never touched."""
    from horus_core.recording.keeping.clean import clean

    if max_age_days is None and max_size is None:
        raise click.UsageError("give --max-age-days, --max-size or both")
    most = None if max_size is None else round(max_size * 1e9)
    report = clean(max_age_days, most, dry_run=True)
    if report.deleted and not dry_run:
        if not as_json and not yes:
            _show(report)
        if not confirmed(f"Delete {count(len(report.deleted), 'session')} ({show.size(report.freed)})?", yes):
            show.say("nothing deleted", err=as_json)
            return 0
        report = clean(max_age_days, most)
    if as_json:
        show.as_json(report)
    else:
        _show(report)
        _show_result(report)
    return 2 if report.failed else 0


def _show(report: CleanReport) -> None:
    rows = [
        (
            each.name,
            f"{each.age_days:.1f} days",
            show.size(each.size),
            "too old" if each.why == "age" else "too much in all",
        )
        for each in report.deleted
    ]
    if rows and report.dry_run:
        table([Column("session", 10), Column(">age", 8), Column(">size", 7), Column("why", folds=True)], rows)
    if report.running and report.dry_run:
        show.say(f"being recorded, not touched: {', '.join(show.one_line(name) for name in report.running)}")


def _show_result(report: CleanReport) -> None:
    for name, problem in report.failed.items():
        show.complain(show.one_line(f"{name}: {problem}"))
    verb = "would delete" if report.dry_run else "deleted"
    kept = f"{count(report.kept, 'session')} ({show.size(report.kept_size)}) kept"
    if report.deleted:
        show.say(f"{verb} {count(len(report.deleted), 'session')} ({show.size(report.freed)}); {kept}")
    else:
        show.say(f"nothing to delete; {kept}")
