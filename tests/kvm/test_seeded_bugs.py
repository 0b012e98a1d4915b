"""Bugs that hypervisors really had, as small policies: refuted in the right scenario, in the right way.

Each is mainline, or what it was a bug of, with one thing wrong; the numbers are those of facts B8. The
fixed form is safe in the same scenario, so it is the bug that is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from conformance import refuted

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.default_cacheable import DefaultCacheable
from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, INVALIDATE_I_ALL
from pocwatch.kvm.policies.mainline_2014 import Mainline2014
from pocwatch.kvm.policies.mainline_2021 import Mainline2021, invalidate_icache_guest_page
from pocwatch.kvm.policies.xen_2014 import Xen2014
from pocwatch.kvm.policy import Occasion, Operation, of
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import decide

Operations = tuple[Operation, ...]
XGENE = platforms.load("xgene-l3")
NOTHING: Operations = ()


class Bug1(Mainline2021):
    """Wrong mask: no page counts as cacheable, so nothing is cleaned (K:c0f91987)."""

    name = "bug-1"

    def at_map(self, occasion: Occasion) -> Operations:
        return invalidate_icache_guest_page(occasion) if occasion.executable else NOTHING

    def at_unmap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug2(Mainline2021):
    """I-caches are not invalidated between vCPUs of a VM (before 01dc9262ff57)."""

    name = "bug-2"

    def at_vcpu_load(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug4(Mainline2021):
    """Nothing on unmap (before 363ef89f8e9b)."""

    name = "bug-4"

    def at_unmap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug5(Mainline2021):
    """Nothing when the guest switches its caches (before 9d218a1fcf4c)."""

    name = "bug-5"

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug6(Mainline2021):
    """Set/way operations of the guest are not trapped (before 3c1e71650833)."""

    name = "bug-6"
    traps_set_way = False


class Bug10(Mainline2021):
    """Pages that the MMU notifier maps are not cleaned (before "Clean dcache ... due to CoW")."""

    name = "bug-10"

    def at_map(self, occasion: Occasion) -> Operations:
        return NOTHING if occasion.access is None else super().at_map(occasion)


class Bug20(DefaultCacheable):
    """HCR_EL2.DC until M is set, for a guest that sets C later (Xen 89eb02c220)."""

    name = "bug-20"


class Bug23(Xen2014):
    """The toolstack patches code, I-caches stay as they are (Xen before fe6e8188f3)."""

    name = "bug-23"


class Fixed23(Xen2014):
    """Xen fe6e8188f3: I-caches too, for XEN_DOMCTL_cacheflush; later at allocation as well."""

    name = "fixed-23"

    def at_allocation(self, occasion: Occasion) -> Operations:
        return (*CLEAN_INVALIDATE_POC, *INVALIDATE_I_ALL)

    def at_user_space_write(self, occasion: Occasion) -> Operations:
        return (*CLEAN_INVALIDATE_POC, *INVALIDATE_I_ALL)


class Bug24(Mainline2021):
    """An I-cache invalidation that nobody waits for (Xen before fc34707ae1)."""

    name = "bug-24"

    def at_map(self, occasion: Occasion) -> Operations:
        invalidated = (Op.IC_IALLUIS,) if occasion.executable else NOTHING
        return (*CLEAN_INVALIDATE_POC, *invalidated)


class Bug26(Fixed23):
    """Pages are cleaned before they are scrubbed, not after (XSA-364)."""

    name = "bug-26"

    def at_unmap(self, occasion: Occasion) -> Operations:
        return CLEAN_INVALIDATE_POC

    def at_allocation(self, occasion: Occasion) -> Operations:
        return INVALIDATE_I_ALL


@dataclass(frozen=True)
class Seeded:
    """A bug, its fix, where it shows, and how: the last step, and what the line saw of it."""

    broken: type
    fixed: type
    scenario: str
    verdict: str
    event: str
    step: str


SEEDED = (
    Seeded(Bug1, Mainline2021, "boot-image", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug2, Mainline2021, "icache-isolation", "unsafe", "executes", "P1 if wb"),
    Seeded(Bug4, Mainline2021, "swap", "unsafe", "swaps the page out: reads it", "P0 ld wb"),
    Seeded(Bug5, Mainline2021, "guest-enables-mmu", "unsafe", "reads", "P1 ld wb"),
    Seeded(Bug6, Mainline2021, "guest-setway", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug10, Mainline2021, "cow", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug20, Mainline2014, "guest-c-after-m", "unsafe", "reads", "P1 ld nc"),
    Seeded(Bug23, Fixed23, "late-load", "unsafe", "executes", "P1 if nc"),
    Seeded(Bug24, Mainline2021, "boot-image", "unsafe", "executes", "P1 if nc"),
    Seeded(Bug26, Fixed23, "page-recycle", "leak", "reads", "P1 ld dev"),
)


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda s: s.broken.name)
def test_the_bug_is_found_where_it_is(seeded: Seeded) -> None:
    result = decide(SCENARIOS[seeded.scenario], of(seeded.broken), XGENE)
    assert result.verdict.value == seeded.verdict
    last = result.trace[-1]
    assert (last.event, last.read) == (seeded.event, "stale")
    assert str(last.steps[-1][1]) == seeded.step
    fixed = decide(SCENARIOS[seeded.scenario], of(seeded.fixed), XGENE)
    assert fixed.verdict.value == "safe"


@pytest.mark.parametrize(
    ("broken", "elsewhere"),
    [
        # One mistake shows in few scenarios; "late-load" is user space's own (A21).
        (Bug2, {"icache-isolation"}),
        (Bug4, {"swap", "cow"}),
        # Not "guest-setway": the trapped set/way operation has cleaned by VA before caches go off.
        (Bug5, {"guest-enables-mmu", "guest-c-after-m"}),
        (Bug6, {"guest-setway"}),
        (Bug10, {"cow"}),
    ],
)
def test_and_the_rest_is_as_it_was(broken: type, elsewhere: set[str]) -> None:
    assert set(refuted(of(broken), XGENE)) == {*elsewhere, "late-load"}


def test_a_bug_that_was_fixed_twice() -> None:
    """B8.23: the hypercall alone leaves what a page's earlier owner executed."""

    class HypercallOnly(Fixed23):
        name = "hypercall-only"

        def at_allocation(self, occasion: Occasion) -> Operations:
            return CLEAN_INVALIDATE_POC

    assert refuted(of(HypercallOnly), XGENE)["page-recycle"] == "leak"
    assert "page-recycle" not in refuted(of(Fixed23), XGENE)
