"""``python -m benchmarks``: the command."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from benchmarks import guard, plots
from benchmarks.machine import Machine
from benchmarks.options import Options
from benchmarks.report import Report, Row, text, write_readme
from benchmarks.suite import NAMES, benchmark

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"


@click.command(epilog="\n\n".join(["\b\n" + "\n".join(f"{name:10} {words}" for name, words in NAMES.items())]))
@click.argument("name", type=click.Choice([*NAMES, "all", "check", "readme", "soak"]), metavar="NAME|all|check|...")
@click.option("--quick", is_flag=True, help="Fewer rounds and samples: does it work, and which order of magnitude.")
@click.option("--peer-python", default="", help="An interpreter that has horus-robotics (or HORUS_BENCH_PEER_PYTHON).")
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="Write the rows there; for `all` results.json here."
)
@click.option("--plots", "folder", type=click.Path(path_type=Path), help="Write pictures there; for `all` plots/ here.")
def main(name: str, quick: bool, peer_python: str, path: Path | None, folder: Path | None) -> None:
    """Measures HORUS and what it is compared with.

    NAME is one of the benchmarks below. `all` runs every one and writes the committed table; with --quick it writes only
    where it is told to. `check` measures again and fails if a ratio is worse than the committed one by more than the
    tolerance. `readme` puts the committed table into the README. `soak` kills processes of a graph, many times, and says
    what held.
    """
    if name == "readme":
        write_readme(Report.load(RESULTS), HERE / "README.md")
        return
    if name == "soak":
        _soak(kills=20 if quick else 500)
        return
    options = Options.here(quick, peer_python, check=name == "check")
    names = list(guard.COMPARED) if name == "check" else list(NAMES) if name == "all" else [name]
    command = " ".join(["python -m benchmarks", name, *(["--quick"] if quick else [])])
    report = Report(Machine.here(), command, quick, [])
    _say_load(report.machine)
    for each in names:
        report.rows += _run(each, options)
    if name == "all" and not quick:
        path, folder = path or RESULTS, folder or HERE / "plots"
    if path is not None:
        report.save(path)
        click.echo(f"written: {path}")
    if folder is not None:
        for picture in plots.draw(report, folder):
            click.echo(f"drawn: {picture}")
    if name == "check":
        _check(report.rows)


def _soak(kills: int) -> None:
    """So many kills in real time, and as many in lockstep."""
    from benchmarks.soak import soak

    problems = 0
    for lockstep in (False, True):
        outcome = soak(kills, seed=kills, lockstep=lockstep, tell=click.echo)
        click.echo(f"{'lockstep' if lockstep else 'real time'}: {outcome}")
        problems += len(outcome.problems)
    if problems:
        sys.exit(1)


def _say_load(machine: Machine) -> None:
    if machine.load > 0.5:
        click.echo(f"The machine is not idle (load {machine.load:g}): believe ratios rather than times.", err=True)


def _run(name: str, options: Options) -> list[Row]:
    click.echo(f"\n{name}: {NAMES[name]}")
    rows = benchmark(name)(options)
    click.echo(text(rows))
    return rows


def _check(rows: list[Row]) -> None:
    findings = guard.compare(Report.load(RESULTS).rows, rows)
    click.echo(f"\nRatios against {RESULTS.name}; each may be {guard.TOLERANCE:.0%} worse:")
    for finding in findings:
        click.echo(str(finding))
    failed = [finding for finding in findings if finding.failed]
    if not findings:
        click.echo("nothing to compare: no ratio was measured both then and now", err=True)
    if failed or not findings:
        click.echo(f"{len(failed)} of {len(findings)} ratios are worse than they may be", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
