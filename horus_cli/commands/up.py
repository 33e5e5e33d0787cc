"""``horus up``."""

from __future__ import annotations

import click

from horus_cli.arguments import duration_option, positive
from horus_cli.daemons import connected, started, system_option
from horus_cli.script import ScriptCommand, script_arguments


@click.command("up", cls=ScriptCommand)
@click.argument("path", default=".", type=click.Path())
@click.option(
    "--name", metavar="NAME", help="What the graph is called; the project's or the script's name if not given."
)
@click.option("--record", metavar="NAME", help="Record as session NAME; one that exists gets the date behind it.")
@duration_option
@click.option(
    "--rate", type=float, metavar="HZ", callback=positive("Hz"), help="The graph's rate, instead of the script's."
)
@click.option(
    "--restart",
    type=click.Choice(["no", "on-failure", "always"]),
    default="on-failure",
    show_default=True,
    help="Whether it is started again when it ends by itself.",
)
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of its environment.")
@click.option("--no-wait", is_flag=True, help="Return before its nodes are ready.")
@system_option
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    name: str | None,
    record: str | None,
    duration: float | None,
    rate: float | None,
    restart: str,
    variables: tuple[str, ...],
    no_wait: bool,
    system: bool | None,
) -> int:
    """Have the daemon run the script or project at PATH from now on, also after a reboot; until 'horus down'.

    A project's horus.toml is read anew at each start. The graph gets the daemon's environment, your variables that begin with
    HORUS_ or PYTHON, and those of --env. What stands behind -- is for the script. Exit code 1 if the graph does not start.
    """
    from horus_daemon.specs import graph_spec

    spec = graph_spec(
        path,
        name=name,
        arguments=script_arguments(ctx),
        environment=dict(_variable(each) for each in variables),
        record=record,
        duration=duration,
        tick_rate=rate,
        restart=restart,
    )
    with connected(system) as daemon:
        graph = daemon.up(spec)
        return started(daemon, graph, no_wait)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--env")
    return name, value
