"""``horus completion``."""

from __future__ import annotations

import click

from horus_cli import show

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and the names of sessions, graphs, nodes and topics.

    \b
    bash:  horus completion bash > ~/.local/share/bash-completion/completions/horus
    zsh:   horus completion zsh > ~/.zfunc/_horus       (with fpath+=~/.zfunc before compinit in ~/.zshrc)
    fish:  horus completion fish > ~/.config/fish/completions/horus.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    completer = made(ctx.find_root().command, {}, "horus", "_HORUS_COMPLETE")
    # Not source(): that starts the shell to ask for its version.
    show.say_lines(completer.source_template % completer.source_vars())
