"""What any cleaning policy must be: reusable for new ones, see test_policies_conformance.py.

`malformed` judges a policy without running it, `refuted` names the scenarios that it does not survive.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from pocwatch import platforms
from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, Op
from pocwatch.kvm.policy import HOOKS, Access, AtEl2, Occasion, Policy, PolicyError
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Word, decide
from pocwatch.platforms import ICache, Platform

_AWAITED = {*DATA_MAINTENANCE, *INSTRUCTION_MAINTENANCE}  # outer caches complete at once


def every_platform() -> Iterator[Platform]:
    """Yield the shipped platforms, and one of them with each kind of instruction cache."""
    for name in platforms.names():
        yield platforms.load(name)
    for icache in ICache:
        yield replace(platforms.load("xgene-l3"), name=f"xgene-l3+{icache.value}", icache=icache)


def every_occasion(platform: Platform) -> Iterator[Occasion]:
    """Yield all that a hook may be told."""
    for access, caches_on, executable in itertools.product(
        (None, *Access), (False, True), (False, True)
    ):
        yield Occasion(platform, access, caches_on, executable)


def malformed(policy: Policy) -> list[str]:
    """Return complaints: what the policy does wrong before any scenario is looked at."""
    complaints: dict[str, None] = {}
    for platform in every_platform():
        try:
            policy.on(platform)
            if policy.why_not(platform, "boot-image") == "":
                complaints[f"{platform.name}: not applicable, without a reason"] = None
            for hook in HOOKS:
                for occasion in every_occasion(platform):
                    complaints |= dict.fromkeys(_unfinished(policy, hook, occasion))
        except PolicyError as error:
            complaints[str(error)] = None
    return list(complaints)


def _unfinished(policy: Policy, hook: str, occasion: Occasion) -> Iterator[str]:
    """Yield complaints about a hook: what it does must be complete when it ends, else others see part."""
    told = policy.operations(hook, occasion)
    if told != policy.operations(hook, occasion):
        yield f"{hook} does not do the same again"
    waiting: list[Op] = []
    for operation in told:
        op = operation.op if isinstance(operation, AtEl2) else operation
        if op is Op.DSB:
            waiting.clear()
        elif op in _AWAITED:
            waiting.append(op)
    for op in waiting:
        yield f"{hook} ends with a {op.spelling} that no dsb waits for"


def refuted(policy: Policy, platform: Platform) -> dict[str, str]:
    """Return the quick scenarios that the policy does not survive, with their verdicts."""
    found = {
        name: decide(scenario, policy, platform).verdict
        for name, scenario in SCENARIOS.items()
        if name != "anything"
    }
    fine = (Word.SAFE, Word.NOT_APPLICABLE)
    return {name: word.value for name, word in found.items() if word not in fine}
