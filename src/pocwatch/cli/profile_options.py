"""The options for the profile of maintenance, and what becomes of it when the machine ended."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
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
    found: list[Profile] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Whether maintenance is to be counted by call site."""
        return self.table or self.json is not None or self.folded is not None

    def check(self) -> None:
        """Raise UsageError or CostError, before the machine starts, for what could not be written."""
        from pocwatch.cost import model
        from pocwatch.report import files

        model.load(self.costs)
        for option, path in (("--profile-json", self.json), ("--folded", self.folded)):
            if path is not None:
                files.check_writable(option, path)

    def write(self) -> None:
        """Print the table and write the files. Raise MachineError when the disk does not take them."""
        import json

        from pocwatch.cost import model
        from pocwatch.report import files, profile
        from pocwatch.sanitizer.errors import MachineError

        if not self.wanted:
            return
        if not self.found:
            raise MachineError("there is no profile: the machine did not end in order")
        (found,), costs = self.found, model.load(self.costs)
        if self.table:
            click.echo(profile.text(found, costs), err=True, nl=False)
        if self.json is not None:
            text = json.dumps(profile.data(found, costs), indent=2) + "\n"
            files.write("--profile-json", self.json, text)
        if self.folded is not None:
            files.write("--folded", self.folded, profile.folded(found, costs, self.value))


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

    @functools.wraps(command)
    def collected(
        *args: Any,
        table: bool,
        profile_json: Path | None,
        folded: Path | None,
        value: str,
        costs: str,
        **others: Any,
    ) -> Any:
        asked = ProfileOptions(table, profile_json, folded, value, costs)
        return command(*args, profiling=asked, **others)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
