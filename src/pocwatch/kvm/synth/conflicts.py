"""Which scenarios no policy of the space wins, and which ones none wins together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocwatch.kvm.policy import Choices
from pocwatch.kvm.synth.judge import Judge

_LONG_STATES = 6000


@dataclass(frozen=True, slots=True)
class Survey:
    """By combination of choices: the scenarios that refute even the policy that does everything."""

    lost: Mapping[Choices, frozenset[str]]

    @property
    def hopeless(self) -> frozenset[str]:
        """Scenarios that no policy of the space is safe in."""
        return frozenset.intersection(*self.lost.values())

    def left_out(self) -> frozenset[str]:
        """Return the fewest scenarios without which some combination of choices may win the rest."""
        return min(self.lost.values(), key=len)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the scenarios that no policy is safe in together, though in each alone, pairwise."""
        names = sorted(frozenset.union(*self.lost.values()) - self.hopeless)
        return [
            (one, other)
            for n, one in enumerate(names)
            for other in names[n + 1 :]
            if all(one in lost or other in lost for lost in self.lost.values())
        ]


def survey(judge: Judge, scenarios: Sequence[str]) -> Survey:
    """Judge the policies that do everything. A long scenario is not judged to its end here."""
    lost = {}
    for choices in judge.space.choices:
        top = judge.space.everything(choices)
        runs = (judge.run(name, top, max_states=_LONG_STATES) for name in scenarios)
        lost[choices] = frozenset(run.scenario for run in runs if run.refutes)
    return Survey(lost)
