"""`pocwatch completion`: the script with which a shell completes pocwatch's words."""

from __future__ import annotations

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script that completes commands, options and names in a shell.

    \b
    Examples:
      echo 'eval "$(pocwatch completion bash)"' >> ~/.bashrc
      echo 'eval "$(pocwatch completion zsh)"' >> ~/.zshrc
      pocwatch completion fish > ~/.config/fish/completions/pocwatch.fish

    Bash must be 4.4 or newer.
    """
    from click.shell_completion import get_completion_class

    from pocwatch.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None
    script = made(cli, {}, "pocwatch", "_POCWATCH_COMPLETE")
    click.echo(script.source_template % script.source_vars())
    return 0
