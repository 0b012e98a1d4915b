"""Every counterexample of the default matrix, told to `pocwatch line`, is bad there too.

The word is what the line that was read saw; `line` judges it with every PE of the platform, knowing
nothing of KVM. There is one exception: `kvm` takes FEAT_S2FWB to come with CTR_EL0.IDC.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cells import QUICK, cell

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.verdict import Result, Word
from pocwatch.line.calculator import judge
from pocwatch.line.word import parse
from pocwatch.platforms import Platform


def as_kvm_takes_it(name: str) -> Platform:
    """The platform, with the exception made."""
    platform = platforms.load(name)
    return replace(platform, idc=True) if platform.stage2_forces_wb else platform


def bad(platform: str) -> list[Result]:
    """The cells of a platform with a counterexample."""
    results = [cell(scenario, policy, platform) for scenario in QUICK for policy in POLICIES]
    return [r for r in results if r.verdict in (Word.UNSAFE, Word.LEAK)]


@pytest.mark.parametrize("name", platforms.names())
def test_line_agrees_with_every_counterexample(name: str) -> None:
    platform = as_kvm_takes_it(name)
    counterexamples = bad(name)
    assert len(counterexamples) > 30
    told: dict[str, str] = {}
    for result in counterexamples:
        text = "; ".join(map(str, result.word))
        if text not in told:
            assert parse(text) == result.word
            last = judge(platform, result.word)[-1]
            assert last.step == len(result.word) - 1
            told[text] = last.verdict
        cell_name = (result.scenario, result.policy, name)
        assert told[text] == result.trace[-1].read, (cell_name, text)
        assert told[text] in ("stale", "unsynced"), (cell_name, text)


def test_without_the_exception_only_forcing_platforms_differ() -> None:
    """The exception is no wider than it says: the other forcing platform has IDC anyway."""
    assert [n for n in platforms.names() if as_kvm_takes_it(n) != platforms.load(n)] == ["fwb"]


@pytest.mark.parametrize("name", ["xgene-l3", "cortex-a53"])
def test_reads_before_the_last_were_fresh(name: str) -> None:
    """A run ends with the first read that may be stale; `line` sees no earlier one.

    Not so for I-caches: `line` lets every PE fetch before any write, in `kvm` a PE has no Non-cacheable
    copy of a page that no guest could execute. So data is compared.
    """
    for result in bad(name):
        reads = [r for r in judge(platforms.load(name), result.word) if " if " not in r.op]
        last = len(result.word) - 1
        assert [r.op for r in reads if r.verdict == "stale" and r.step != last] == [], result.scenario


@pytest.mark.parametrize("policy", ["none", "poc-on-fault", "mainline-2015"])
def test_counterexamples_of_anything(policy: str) -> None:
    result = cell("anything", policy, "xgene-l3")
    assert judge(platforms.load("xgene-l3"), result.word)[-1].verdict == result.trace[-1].read
