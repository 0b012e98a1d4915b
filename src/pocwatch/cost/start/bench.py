"""All that `pocwatch bench` found: what was asked, options on every VM, and who is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pocwatch.cost.model import CostModel
from pocwatch.cost.start.assumptions import Assumptions
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.safety import Safety
from pocwatch.cost.start.series import Series, group
from pocwatch.platforms import Platform

THREAD = ("clean-ram-at-first-run", "poc-on-fault", "user-space")
"""The three whose costs were asked for in 2013: global at start, per page on faults, in user space."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A question and its answer. `safety` is by policy; one that does not apply has no outcomes."""

    platform: Platform
    model: CostModel
    assumed: Assumptions
    seed: int
    outcomes: tuple[Outcome, ...]
    safety: Mapping[str, Safety]

    @property
    def series(self) -> list[Series]:
        """The outcomes by page size and number of vCPUs."""
        return group(self.outcomes)

    def safety_of(self, series: Series, option: str) -> Safety:
        """Return the verdicts on an option's policy."""
        return self.safety[series.options[option][0].policy]

    def of_thread(self, series: Series) -> list[str]:
        """Return the options of the thread that are in a series."""
        return [
            name
            for policy in THREAD
            for name, line in series.options.items()
            if line[0].policy == policy
        ]

    def mark(self, series: Series, option: str) -> str:
        """Return a blank for safe, ! for unsafe, X if the guest may not even see its image."""
        safety = self.safety_of(series, option)
        return " " if safety.safe else "!" if safety.boots else "X"

    def booting(self, series: Series) -> list[str]:
        """Return the options under which a guest sees its image."""
        return [name for name in series.options if self.safety_of(series, name).boots]
