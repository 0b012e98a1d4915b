"""Mainline's maintenance, with one operation or choice left out at a time: some scenario misses it.

A piece that no scenario misses would be either superfluous or something that the scenarios cannot see;
those that are not missed are listed with the reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from conformance import refuted

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import CHOICES, HOOKS, Access, AtEl2, Occasion, Operation, Policy
from pocwatch.platforms import Platform

MAINLINE = POLICIES["mainline-2021"]
XGENE = platforms.load("xgene-l3")

_EXCEPTION_RETURN = "the exception return to the guest synchronises the context as well"
_OWN_ACCESSES = "by VA: ordered with the cacheable accesses of the PE that issued it, here the guest's"
_BOTH = "either of this and of the cleaning when caches go off is enough for a guest that does both"
NOT_MISSED = {
    ("at_permission_fault", "isb"): _EXCEPTION_RETURN,
    ("at_map", "isb"): _EXCEPTION_RETURN,
    ("at_vcpu_load", "isb"): _EXCEPTION_RETURN,
    ("at_mmu_trap", "dsb"): _OWN_ACCESSES,
    ("at_set_way_trap", "dc civac"): _BOTH,
    ("at_set_way_trap", "dsb"): _BOTH,
    ("executable_on_fetch", "False"): "it saves maintenance that is done when pages are mapped",
}


class _Without:
    """A policy that leaves out the n-th operation of a hook."""

    def __init__(self, author: Any, hook: str, n: int) -> None:
        self._author = author
        self._hook = hook
        self._n = n

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._author, name)
        if name != self._hook:
            return value

        def without(occasion: Occasion) -> tuple[Operation, ...]:
            told = value(occasion)
            return (*told[: self._n], *told[self._n + 1 :])

        return without


class _Chose:
    """A policy with another choice."""

    def __init__(self, author: Any, choice: str, value: bool) -> None:
        self._author = author
        self._choice = choice
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return self._value if name == self._choice else getattr(self._author, name)


def _longest(policy: Policy, hook: str, platform: Platform) -> tuple[Operation, ...]:
    occasions = (
        Occasion(platform, access, False, executable)
        for access, executable in itertools.product((None, *Access), (False, True))
    )
    return max((policy.operations(hook, occasion) for occasion in occasions), key=len)


def _mutants() -> Iterator[tuple[str, str, Policy]]:
    for hook in HOOKS:
        for n, operation in enumerate(_longest(MAINLINE, hook, XGENE)):
            op = operation.op if isinstance(operation, AtEl2) else operation
            author = _Without(MAINLINE.author, hook, n)
            yield hook, op.spelling, Policy(author, f"no {op.spelling} {n} {hook}", "test")
    chosen = MAINLINE.on(XGENE)
    for choice in CHOICES:
        if getattr(chosen, choice):  # those not made would add something
            yield choice, "False", Policy(_Chose(MAINLINE.author, choice, False), choice, "test")


MUTANTS = [pytest.param(w, p, m, id=f"{w}-{m.name}") for w, p, m in _mutants()]


@pytest.mark.parametrize(("where", "piece", "mutant"), MUTANTS)
def test_a_scenario_misses_it(where: str, piece: str, mutant: Policy) -> None:
    missed = set(refuted(mutant, XGENE)) - {"late-load"}  # mainline leaves that to user space (A21)
    reason = NOT_MISSED.get((where, piece), "")
    assert bool(missed) != bool(reason), (missed, reason)


def test_there_are_enough_pieces() -> None:
    pieces = {(p.values[0], p.values[1]) for p in MUTANTS}
    assert set(NOT_MISSED) <= pieces
    assert len(MUTANTS) > 20
