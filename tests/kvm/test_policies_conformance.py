"""The conformance suite on the shipped policies, and on policies that it must not let pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cells import QUICK, cell
from conformance import malformed, refuted

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policy import HOOKS, Occasion, Operation, Policy, PolicyError, of
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Word, decide

XGENE = platforms.load("xgene-l3")
NOTHING: tuple[Op, ...] = ()


# --- The shipped policies ------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
def test_shipped_policies_are_well_formed(name: str) -> None:
    assert malformed(POLICIES[name]) == []


@pytest.mark.parametrize("name", platforms.names())
def test_not_applicable_cells_say_why_and_others_do_not(name: str) -> None:
    for scenario in QUICK:
        for policy in POLICIES:
            result = cell(scenario, policy, name)
            assert bool(result.reason) == (result.verdict is Word.NOT_APPLICABLE), result
            assert bool(result.trace) == (result.verdict in (Word.UNSAFE, Word.LEAK)), result


@pytest.mark.parametrize(
    ("platform", "left"),
    [
        ("xgene-l3", {"late-load": "unsafe"}),
        ("cortex-a57-up", {"late-load": "unsafe"}),
        ("cortex-a53", {"late-load": "unsafe"}),
        ("neoverse-dic", {"late-load": "unsafe"}),
        # A12: the guest's uncached writes are not uncached, and the device does not snoop.
        ("fwb", {"late-load": "unsafe", "dma-bootloader": "unsafe"}),
        ("fwb-dic", {"dma-bootloader": "unsafe"}),
    ],
)
def test_what_mainline_leaves_to_user_space_and_to_guests(
    platform: str, left: dict[str, str]
) -> None:
    """A21, A12: all else is safe."""
    assert refuted(POLICIES["mainline-2021"], platforms.load(platform)) == left


class _Added:
    """A policy with more maintenance at the end of one hook."""

    def __init__(self, author: Any, hook: str) -> None:
        self._author = author
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        if name != self._hook:
            return getattr(self._author, name)

        def with_more(occasion: Occasion) -> tuple[Operation, ...]:
            before = getattr(self._author, name, lambda _: NOTHING)(occasion)
            return (*before, Op.DC_CIVAC, Op.DSB)

        return with_more


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", ["mainline-2021", "poc-on-fault"])
def test_more_cleaning_never_makes_a_safe_cell_unsafe(name: str, hook: str) -> None:
    shipped = POLICIES[name]
    more = Policy(_Added(shipped.author, hook), f"{name}+{hook}", "test")
    for scenario in QUICK:
        if cell(scenario, name, "xgene-l3").verdict is Word.SAFE:
            assert decide(SCENARIOS[scenario], more, XGENE).verdict is Word.SAFE, scenario


# --- Broken ones ---------------------------------------------------------------------------------


class _NoDsb(Mainline2021):
    """Pages are cleaned when they are mapped, and nobody waits for it."""

    name = "no-dsb"

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.DC_CIVAC,)


def test_a_missing_dsb_is_complained_of_and_refuted_by_name_of_scenario() -> None:
    policy = of(_NoDsb)
    assert malformed(policy) == ["at_map ends with a dc civac that no dsb waits for"]
    # Where another vCPU comes to another PE there is a DSB in between, but not of the right PE.
    assert set(refuted(policy, XGENE)) >= {"boot-image", "late-memslot", "guest-nc-mapping", "cow"}


class _InvalidatesTooEarly(Mainline2021):
    """The I-cache is invalidated before the page is clean: what it refills is old. Zephyr, B8.73."""

    name = "invalidates-too-early"

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.IC_IVAU, Op.DSB, Op.DC_CVAU, Op.DSB)


def test_the_wrong_points_and_order_are_refuted() -> None:
    policy = of(_InvalidatesTooEarly)
    assert malformed(policy) == []
    assert {"boot-image", "guest-nc-mapping"} <= set(refuted(policy, XGENE))


class _Changing(Mainline2021):
    """A hook that does something else each time."""

    name = "changing"

    def __init__(self) -> None:
        self._calls = 0

    def at_reset(self, occasion: Occasion) -> tuple[Op, ...]:
        self._calls += 1
        return (Op.DSB,) * (self._calls % 2)


def test_a_hook_must_do_the_same_again() -> None:
    assert malformed(of(_Changing)) == ["at_reset does not do the same again"]


# --- Nonsense gets one clear message -------------------------------------------------------------


class _Base:
    name = "nonsense"
    origin = "test"


class _Raises(_Base):
    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.DC_CIVAC,) if occasion.platfrom else ()  # type: ignore[attr-defined]


class _RaisesLate(_Base):
    def at_map(self, occasion: Occasion) -> Iterator[Op]:
        yield Op.DC_CIVAC
        raise ValueError("late")


class _ReturnsNothing(_Base):
    def at_map(self, occasion: Occasion) -> None:
        pass


class _ReturnsText(_Base):
    def at_map(self, occasion: Occasion) -> str:
        return "dc civac; dsb"


class _ReturnsOneOperation(_Base):
    def at_map(self, occasion: Occasion) -> Op:
        return Op.DC_CIVAC


class _ReturnsNumbers(_Base):
    def at_map(self, occasion: Occasion) -> tuple[int, ...]:
        return (10, 22)


class _ReturnsLists(_Base):
    def at_map(self, occasion: Occasion) -> tuple[list[Op], ...]:
        return ([Op.DC_CIVAC, Op.DSB],)


class _Stores(_Base):
    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.ST, Op.DSB)


class _NoMethod(_Base):
    at_map = (Op.DC_CIVAC, Op.DSB)


class _MisspeltHook(_Base):
    def at_mapp(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.DC_CIVAC, Op.DSB)


class _MisspeltChoice(_Base):
    trap_mmu = True


class _NumberAsChoice(_Base):
    traps_mmu = 1


class _NoName:
    origin = "test"


class _NoOrigin:
    name = "nonsense"


class _NameIsANumber(_Base):
    name = 3  # type: ignore[assignment]


class _NotApplicableAsList(_Base):
    not_applicable = ("swap",)


class _NeedsText(_Base):
    needs = "FEAT_S2FWB"


class _NeedsRaises(_Base):
    def needs(self, platform: platforms.Platform) -> str | None:
        return platform.nmae  # type: ignore[attr-defined, no-any-return]


class _TakesArguments(_Base):
    def __init__(self, platform: object) -> None:
        pass


@pytest.mark.parametrize(
    ("author", "told"),
    [
        (_Raises, "at_map raised AttributeError: 'Occasion' object has no attribute 'platfrom'"),
        (_RaisesLate, "at_map raised ValueError: late"),
        (_ReturnsNothing, "at_map returned None"),
        (_ReturnsText, "at_map returned 'dc civac; dsb'"),
        (_ReturnsOneOperation, "at_map returned <Op.DC_CIVAC: 10>"),
        (_ReturnsNumbers, "at_map returned 10"),
        (_ReturnsLists, r"at_map returned \[<Op.DC_CIVAC: 10>, <Op.DSB: 22>\]"),
        (_Stores, "at_map returned <Op.ST: 1>"),
        (_NoMethod, r"at_map is \(<Op.DC_CIVAC: 10>, <Op.DSB: 22>\): it takes a method"),
        (_MisspeltHook, "hook 'at_mapp': there is no such occasion; near matches: at_map"),
        (_MisspeltChoice, "trap_mmu is no hook and no choice; traps_mmu is"),
        (_NumberAsChoice, "traps_mmu is 1"),
        (_NoName, "_NoName .*has no 'name': it takes a text"),
        (_NoOrigin, "_NoOrigin .*has no 'origin': it takes a text"),
        (_NameIsANumber, "name is 3: it takes a text"),
        (_NotApplicableAsList, r"not_applicable is \('swap',\): it takes a dictionary"),
        (_NeedsText, "needs is 'FEAT_S2FWB': it takes a method of a Platform"),
        (_NeedsRaises, "needs raised AttributeError"),
        (_TakesArguments, "making one raised TypeError"),
    ],
)
def test_nonsense_gets_one_clear_message_with_file_and_line(author: type, told: str) -> None:
    with pytest.raises(PolicyError, match=told) as raised:
        decide(SCENARIOS["boot-image"], of(author), XGENE)
    message = str(raised.value)
    assert "\n" not in message
    place = re.search(rf"{re.escape(Path(__file__).name)}:(\d+)", message)
    assert place is not None, message
    lines = Path(__file__).read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.startswith(f"class {author.__name__}"))
    assert first <= int(place[1]) <= first + 5


class _HasNoHooks(_Base):
    pass


def test_a_policy_without_hooks_is_known_for_it() -> None:
    """It is legal, as "none" is; whoever reports verdicts can say that it did nothing."""
    result = decide(SCENARIOS["boot-image"], of(_HasNoHooks), XGENE)
    assert (result.verdict, result.acted) == (Word.UNSAFE, False)
    assert decide(SCENARIOS["boot-image"], of(_NoDsb), XGENE).acted
