"""The marks of a bench are the verdicts of `pocwatch check`."""

from __future__ import annotations

from pocwatch import platforms
from pocwatch.cost.start.safety import judge
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Word, decide


def test_fails_are_those_of_decide() -> None:
    platform = platforms.load("xgene-l3")
    for name in ("poc-on-fault", "mainline-2021", "user-space"):
        safety = judge(POLICIES[name], platform)
        verdicts = {
            s.name: decide(s, POLICIES[name], platform).verdict
            for s in SCENARIOS.values()
            if s.name != "anything"
        }
        bad = [s for s, word in verdicts.items() if word in (Word.UNSAFE, Word.LEAK)]
        assert list(safety.fails) == bad
        assert list(safety.leaks) == [s for s, word in verdicts.items() if word is Word.LEAK]
        assert safety.boots


def test_set_way_does_not_boot_on_the_machine_of_the_thread() -> None:
    safety = judge(POLICIES["setway-at-first-run"], platforms.load("xgene-l3"))
    assert not safety.boots
    assert not safety.safe


def test_a_policy_that_does_not_apply_says_why() -> None:
    safety = judge(POLICIES["fwb"], platforms.load("xgene-l3"))
    assert safety.why_not == "xgene-l3 has no FEAT_S2FWB"
    assert safety.judged == 0
