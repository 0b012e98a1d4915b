"""The options for the profile of maintenance, and what becomes of it when the machine ended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocwatch.cli.options import split

if TYPE_CHECKING:
    from pocwatch.sanitizer.launch import Options
    from pocwatch.sanitizer.profile import Profile

_PATH = click.Path(path_type=Path)
_VALUES = ("operations", "redundant", "ns")


@dataclass(slots=True)
class ProfileOptions:
    """What is asked of the profile, and the profile once there is one."""

    table: bool
    json: Path | None
    folded: Path | None
    value: str
    costs: str
    platforms: tuple[str, ...] = ()
    found: list[Profile] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Whether maintenance is to be counted by call site."""
        return self.table or self.json is not None or self.folded is not None

    def check(self) -> None:
        """Raise UsageError or CostError, before the machine starts, for what could not be written."""
        from pocwatch.cost import model
        from pocwatch.report import files
        from pocwatch.sanitizer.errors import UsageError

        model.load(self.costs)
        if self.platforms and not self.wanted:
            raise UsageError("--profile-on: there is no profile; add --profile")
        for option, path in (("--profile-json", self.json), ("--folded", self.folded)):
            if path is not None:
                files.check_writable(option, path)

    def run_again(self, options: Options, *, quiet: bool) -> None:
        """Run the machine once for each further platform. Raise RunError."""
        from pocwatch.cli.execute import note
        from pocwatch.sanitizer import launch

        for name in self.platforms if self.found else ():
            note(f"the machine once more, for the profile on platform {name}")
            again = replace(options, platform=name, keep=None, stream=None, events=None)
            launch.run(launch.plan(again), (lambda _: None) if quiet else note)

    def write(self) -> None:
        """Print the table and write the files. Raise MachineError when the disk does not take them."""
        import json

        from pocwatch.cost import model
        from pocwatch.report import files, profile
        from pocwatch.sanitizer.errors import MachineError
        from pocwatch.sanitizer.profile import merged

        if not self.wanted:
            return
        if not self.found:
            raise MachineError("there is no profile: the machine did not end in order")
        found, costs = merged(self.found), model.load(self.costs)
        if self.table:
            click.echo(profile.text(found, costs), err=True, nl=False)
        if self.json is not None:
            text = json.dumps(profile.data(found, costs), indent=2) + "\n"
            files.write("--profile-json", self.json, text)
        if self.folded is not None:
            files.write("--folded", self.folded, profile.folded(found, costs, self.value))


_ON = click.option(
    "--profile-on",
    multiple=True,
    metavar="NAME,...",
    callback=split,
    help="Say on which of these platforms operations are needed, too: the machine is run once more "
    "for each. Repeatable.",
)
_OPTIONS = (
    click.option(
        "--profile",
        "table",
        is_flag=True,
        help="Print a table of maintenance by call site: how often, how much of it was redundant, and "
        "what that may cost; the most wasteful first.",
    ),
    click.option(
        "--profile-json", type=_PATH, metavar="FILE", help="Write the profile as JSON, whole."
    ),
    click.option(
        "--folded",
        type=_PATH,
        metavar="FILE",
        help="Write the profile as folded stacks, for flame graphs.",
    ),
    click.option(
        "--folded-value",
        "value",
        type=click.Choice(_VALUES),
        default=_VALUES[0],
        show_default=True,
        help="What --folded counts: operations, the redundant ones, or ns wasted.",
    ),
    _ON,
    click.option(
        "--costs",
        default="default",
        show_default=True,
        metavar="NAME|FILE",
        help="The cost set that the profile's times are estimated by.",
    ),
)


def profile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets them as one argument, `profiling`."""
    return _collected(command, _OPTIONS)


def profile_options_of_replay(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give them to a command that judges on several platforms anyway."""
    return _collected(command, [each for each in _OPTIONS if each is not _ON])


def _collected(
    command: Callable[..., Any], options: Sequence[Callable[..., Any]]
) -> Callable[..., Any]:
    @functools.wraps(command)
    def collected(
        *args: Any,
        table: bool,
        profile_json: Path | None,
        folded: Path | None,
        value: str,
        costs: str,
        profile_on: Sequence[str] = (),
        **others: Any,
    ) -> Any:
        asked = ProfileOptions(table, profile_json, folded, value, costs, tuple(profile_on))
        return command(*args, profiling=asked, **others)

    for option in reversed(options):
        collected = option(collected)
    return collected
