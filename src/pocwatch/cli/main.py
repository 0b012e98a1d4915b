"""The command `pocwatch`: finds a subcommand's file; turns errors into a line and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib import metadata

import click

# Command -> module under pocwatch.cli whose `command` it is, and the help in one line. Modules are
# imported when their command is run, so that `pocwatch --help` stays quick.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run", "Run a QEMU command and report where it may read stale memory."),
    "user": ("user", "Run a program that generates code, and report where it may be stale."),
    "report": ("report", "Show a saved report of `run` again, or write it in another form."),
    "view": ("view", "Look at a report or a trace in the terminal."),
    "record": ("record", "Run a QEMU command and keep what can be judged again, as a trace."),
    "replay": ("replay", "Judge a trace: on any platform, with maintenance taken away."),
    "mutate": ("mutate", "Drop each piece of cache maintenance alone: is it needed?"),
    "demo": ("demo", "Boot Linux as a KVM host and guest, with and without KVM's cache clean."),
    "check": ("check", "Prove or refute cache-cleaning policies of a hypervisor."),
    "synth": ("synth", "Search for the cheapest cache-cleaning policies that are safe."),
    "bench": ("bench", "Price cache-cleaning policies of a hypervisor: VM start, boot, faults."),
    "line": ("line", "Say which reads of one cache line may be stale."),
    "automaton": ("automaton", "Show the line automaton of a platform."),
    "calibrate": ("calibrate", "Measure what cache maintenance costs on this Arm64 machine."),
    "doctor": ("doctor", "Say what pocwatch needs of this computer, and what is missing."),
    "completion": ("completion", "Print the script that completes pocwatch in a shell."),
}


class _LazyGroup(click.Group):
    """Loads a subcommand when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"pocwatch.cli.{_COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0] if args else "-"
        # while a shell completes a line the command may be half typed
        if word not in _COMMANDS and not word.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(
                f"there is no command {word!r}; commands: {', '.join(_COMMANDS)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        try:
            version = metadata.version("pocwatch")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        click.echo(f"pocwatch {version}")
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find where Arm64 software can legally read stale memory.

    \b
    Examples:
      pocwatch demo --out results
      pocwatch run -- qemu-system-aarch64 -M virt -cpu cortex-a57 -kernel Image ...
      pocwatch line --platform xgene-l3 'P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev'

    Exit codes: 0 clean, 1 findings, 2 bad input, 3 the machine failed.
    """
    if ctx.invoked_subcommand is None:
        raise click.UsageError(
            f"no command given; commands: {', '.join(_COMMANDS)} (see pocwatch --help)"
        )


def main() -> None:
    """Run the command line; the exit code is in the exception, or what the command returns."""
    try:
        result = cli.main(prog_name="pocwatch", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code if error.exit_code != 1 else 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        _fail(str(error), code)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    click.echo(f"pocwatch: error: {line}", err=True)
    sys.exit(code)
