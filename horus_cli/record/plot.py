"""``horus record plot``: values over ticks, in the terminal or as a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from horus_cli import show
from horus_cli.arguments import complete_sessions
from horus_cli.record.options import completer, range_options, session_argument

if TYPE_CHECKING:
    from horus_core.recording.export.series import Drawing, Series

_PICTURES = (".png", ".svg", ".pdf", ".html")
_HTML = '<!doctype html>\n<meta charset="utf-8">\n<title>{title}</title>\n{picture}\n'


@click.command("plot")
@session_argument()
@click.argument("fields", nargs=-1, required=True, metavar="TOPIC[.FIELD]...", shell_complete=completer("topic"))
@click.option(
    "--with", "other", metavar="SESSION", shell_complete=complete_sessions, help="Lay a second session over the first."
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Draw a picture: .png, .svg, .pdf or .html."
)
@range_options("Draw")
def command(
    session: str,
    fields: tuple[str, ...],
    other: str | None,
    output: str | None,
    start_tick: int | None,
    stop_tick: int | None,
) -> None:
    """Draw values of SESSION over its ticks: all numbers of a topic, or single fields (odom.pose.x, scan.ranges[3]).

    In the name of a topic, * and ? stand for any letters. With a second session, the first tick is marked in which the values
    differ.

    \b
    horus record plot monday odom.pose.x 'wheel?'
    horus record plot monday ctrl.cmd --with tuesday -o cmd.png
    """
    if output is not None and Path(output).suffix.lower() not in _PICTURES:
        raise click.UsageError(f"{output!r} is none of {', '.join(_PICTURES)}")
    from horus_core.recording.export.series import drawing
    from horus_core.recording.keeping.sessions import find_session

    found = drawing(
        find_session(session), fields, None if other is None else find_session(other), start_tick, stop_tick
    )
    for line in found.damage:
        show.complain(show.one_line(line))
    if output is None:
        _draw_in_terminal(found)
    else:
        _draw_picture(found, Path(output))
        show.say(f"wrote {show.one_line(output)}")
    if other is not None:
        first = found.first_difference
        show.say("equal" if first is None else f"different from tick {first} on")


def _label(series: Series, found: Drawing) -> str:
    """What a line is called: no more than tells it from the others."""
    sessions = {each.session for each in found.series}
    nodes = {each.node for each in found.series if each.name == series.name}
    parts = [series.name, *([f"({series.node})"] if len(nodes) > 1 else [])]
    return show.one_line(" ".join([*parts, *([f"in {series.session}"] if len(sessions) > 1 else [])]))


def _draw_in_terminal(found: Drawing) -> None:
    try:
        import plotext
    except ImportError:
        raise _missing("drawing in the terminal", "plotext") from None
    if not hasattr(plotext, "plot_size"):
        raise _missing("drawing in the terminal", "plotext 5")
    plotext.clear_figure()
    plotext.theme("pro" if show.at_terminal() else "clear")
    width = show.columns() if show.at_terminal() else 100
    plotext.plot_size(width, min(max(width // 4, 12), 30))
    for series in found.series:
        points = [point for point in zip(series.ticks, series.values, strict=True) if math.isfinite(point[1])]
        if points:
            plotext.plot(*zip(*points, strict=True), label=_label(series, found))
    if found.first_difference is not None:
        plotext.vline(found.first_difference, "red")
    plotext.xlabel("tick")
    show.draw(plotext.build())


def _draw_picture(found: Drawing, path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise _missing("drawing a picture", "matplotlib") from None
    figure: Any = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.add_subplot()
    for series in found.series:
        label = _label(series, found).replace("$", r"\$")  # else a formula
        axes.plot(series.ticks, series.values, label=label, linewidth=1)
    first = found.first_difference
    if first is not None:
        axes.axvline(first, color="red", linestyle="--", linewidth=1, label=f"first difference: tick {first}")
    axes.set_xlabel(f"tick ({show.rate(found.tick_rate)})")
    axes.grid(alpha=0.3)
    axes.legend()
    if path.suffix.lower() != ".html":
        figure.savefig(path, dpi=150)
        return
    import html
    import io

    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    picture = drawn.getvalue()
    title = ", ".join(dict.fromkeys(each.session for each in found.series))
    path.write_text(_HTML.format(title=html.escape(title), picture=picture[picture.index("<svg") :]), encoding="utf-8")


def _missing(what: str, package: str) -> click.ClickException:
    return click.ClickException(f"{what} needs {package}; pip install 'horus-supervisor[plot]'")
