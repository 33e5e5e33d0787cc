"""``horus record export``: messages as a table for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from horus_cli import show
from horus_cli.arguments import json_option
from horus_cli.progress import progress
from horus_cli.record.options import nodes_option, range_options, session_argument, topics_option

if TYPE_CHECKING:
    from horus_core.recording.export import ExportReport

FORMATS = ("csv", "parquet", "jsonl", "arrow")


@click.command("export")
@session_argument()
@click.option(
    "--output",
    "-o",
    required=True,
    metavar="FILE",
    help="Where to write: a file, or a folder (it ends in / or is there), which gets a file per topic; - for "
    "standard output.",
)
@click.option(
    "--format",
    "-f",
    "format_",
    type=click.Choice(FORMATS),
    help="By default what FILE ends in, and jsonl for -; a folder needs it.",
)
@nodes_option("Export what these nodes sent only.")
@topics_option("Export these topics only.")
@range_options("Export")
@click.option("--wide", is_flag=True, help="One row per tick, with a column per topic and field.")
@click.option(
    "--images",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write pictures into FOLDER as PNG files; in the table stand their paths.",
)
@json_option()
def command(
    session: str,
    output: str,
    format_: str | None,
    nodes: list[str] | None,
    topics: list[str] | None,
    start_tick: int | None,
    stop_tick: int | None,
    wide: bool,
    images: str | None,
    as_json: bool,
) -> int:
    """Write the messages of SESSION as a table: a row per message with tick, time, node, topic and a column per field.

    Nested names are joined with dots, arrays become lists (in CSV, large ones only their shape). pandas and polars read all
    four formats, duckdb all but Arrow.

    Ends with exit code 1 if something of it is damaged or missing, or does not decode; the rest is written then.

    \b
    horus record export monday -o monday.parquet
    horus record export monday -o cameras/ -f parquet --topics 'camera/*'
    horus record export monday -o - | jq .speed
    """
    from horus_core.recording.export import STANDARD_OUTPUT, export
    from horus_core.recording.keeping.sessions import find_session

    if as_json and output == STANDARD_OUTPUT:
        raise click.UsageError("--json writes to standard output, as --output - does; give one of them")
    found = find_session(session)
    with progress("exporting", found, times=2):
        report = export(found, output, format_, nodes, topics, start_tick, stop_tick, wide, images)
    for line in (*report.damage, *report.lost):
        show.complain(show.one_line(line))
    if report.undecodable:
        show.complain(f"{report.undecodable:,} messages do not decode; their fields are empty")
    if as_json:
        show.as_json(report)
    elif output != STANDARD_OUTPUT:
        _show(report)
    return 0 if report.whole else 1


def _show(report: ExportReport) -> None:
    for file in report.files:
        show.say(
            f"wrote {show.one_line(file.path)}: {file.rows:,} rows, {len(file.columns)} columns, {show.size(file.size)}"
        )
    if report.pictures:
        show.say(f"and {report.pictures:,} pictures beside")
