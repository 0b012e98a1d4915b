"""Whether a policy that is priced is also right: the verdicts of `pocwatch check`."""

from __future__ import annotations

from dataclasses import dataclass

from pocwatch.kvm.policy import Policy
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Word, decide
from pocwatch.platforms import Platform

LEFT_OUT = "anything"  # everything at once takes minutes, and what fails in a part of it fails there
BOOT = "boot-image"  # the question of 2013


@dataclass(frozen=True, slots=True)
class Safety:
    """The scenarios that a policy fails, in the order of `pocwatch check`; `why_not`: it is none here."""

    policy: str
    fails: tuple[str, ...]
    leaks: tuple[str, ...] = ()  # of these, the ones where another tenant's data is read
    judged: int = 0  # scenarios that it applies to
    why_not: str | None = None

    @property
    def safe(self) -> bool:
        """Whether it fails nowhere."""
        return not self.fails

    @property
    def boots(self) -> bool:
        """Whether a guest sees the image that it was started from."""
        return BOOT not in self.fails


def judge(policy: Policy, platform: Platform) -> Safety:
    """Judge a policy in every scenario but LEFT_OUT. Raises PolicyError."""
    fails, leaks, reasons, judged = [], [], [], 0
    for scenario in SCENARIOS.values():
        if scenario.name == LEFT_OUT:
            continue
        result = decide(scenario, policy, platform)
        if result.verdict is Word.NOT_APPLICABLE:
            reasons.append(result.reason)
            continue
        judged += 1
        if result.verdict is not Word.SAFE:
            fails.append(scenario.name)
        if result.verdict is Word.LEAK:
            leaks.append(scenario.name)
    why_not = None if judged else reasons[0]
    return Safety(policy.name, tuple(fails), tuple(leaks), judged, why_not)
