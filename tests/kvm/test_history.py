"""What history or the architecture decides, cell by cell: written from the facts, not from the tool.

Where the tool and a plain reading of history differed, the row says what the reading missed;
docs/kvm-model.md argues these cases at length.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cells import cell

MANY_PES = ("xgene-l3", "cortex-a57", "transparent-l3")
ONE_PE = ("xgene-l3-up", "cortex-a57-up")
NO_DIC = MANY_PES + ONE_PE
BY_VA = (*NO_DIC, "neoverse-dic")  # PIPT, and operations by VA reach every cache
VIPT = ("cortex-a53",)
OUTER = ("l2x0-up",)
FWB = ("fwb",)
FWB_DIC = ("fwb-dic",)
NO_FWB = BY_VA + VIPT + OUTER
MANAGED = BY_VA + VIPT + FWB + FWB_DIC  # all but the outer cache

THREAD = "none pou-on-fault poc-on-fault poc-on-fault-mmu-off clean-ram-at-first-run"
KERNELS = "mainline-2014 mainline-2015 mainline-2021"


@dataclass(frozen=True)
class Row:
    """Cells with one verdict for one reason; policies are a text of names."""

    scenario: str
    policies: str
    platforms: tuple[str, ...]
    verdict: str
    facts: str
    reason: str


TABLE = (
    # --- The thread's question -------------------------------------------------------------------
    Row("boot-image", "none pou-on-fault", NO_FWB, "unsafe", "A1", "dirty behind the PoU, read at PoC"),
    Row("boot-image", "none", FWB, "unsafe", "B1.12", "KVM has to ask for FWB"),
    Row("boot-image", "poc-on-fault", BY_VA, "safe", "A1 A15", "every mapping cleans to the PoC"),
    Row("boot-image", "poc-on-fault", VIPT, "unsafe", "A1 A23", "the patch is in the PIPT branch only"),
    Row("boot-image", "poc-on-prefetch-abort", NO_FWB, "unsafe", "A16", "data aborts map the page first"),
    Row("boot-image", "poc-on-fault-mmu-off", BY_VA, "safe", "A19", "one vCPU, and its MMU is off"),
    Row("boot-image", "mainline-2014 mainline-2015", BY_VA + VIPT, "safe", "B1.1", "caches are off"),
    Row("boot-image", "mainline-2021", MANAGED, "safe", "B1.8 B1.12 B1.13", "unconditional, or FWB"),
    Row("boot-image", "clean-ram-at-first-run", BY_VA, "safe", "A5", "all of it is there by then"),
    Row("boot-image", "setway-at-first-run", (*MANY_PES, "neoverse-dic"), "unsafe", "A6", "own PE only"),
    Row("boot-image", "setway-at-first-run", ("xgene-l3-up",), "unsafe", "A6 C2", "not into the L3"),
    Row("boot-image", "setway-at-first-run", OUTER, "unsafe", "A6 C2", "not into the outer cache"),
    Row("boot-image", "setway-at-first-run", ("cortex-a57-up",), "safe", "A7", "one PE, no other cache"),
    Row("boot-image", "outer-at-first-run", OUTER, "safe", "A14", "inner caches first, then the outer"),
    Row("boot-image", "outer-at-first-run", BY_VA + VIPT, "n/a", "A14", "no such controller"),
    Row("boot-image", f"{KERNELS} poc-on-fault user-space xen-2014", OUTER, "unsafe", "A14 C2", "by VA"),
    Row("boot-image", "user-space", BY_VA, "safe", "A3", "who wrote cleans; clean lines do no harm"),
    Row("boot-image", "default-cacheable", BY_VA + OUTER, "safe", "A8", "MMU-off accesses are cacheable"),
    Row("boot-image", "default-cacheable", VIPT, "unsafe", "A8 A23", "this branch cleans nothing to PoU"),
    Row("boot-image", "fwb", FWB, "safe", "B1.12", "cacheable whatever the guest says"),
    Row("boot-image", "fwb-dic", FWB_DIC, "safe", "B1.12 B1.19", "no maintenance at all"),
    Row("boot-image", "fwb fwb-dic", NO_FWB, "n/a", "C13", "no FEAT_S2FWB"),
    # A reading of B7 says "safe". It forgets the I-cache: who had the page before may have executed it.
    Row("boot-image", "xen-2014", NO_DIC + VIPT, "unsafe", "B7 C14", "the I-side came in 2017"),
    Row("boot-image", "xen-2014", ("neoverse-dic",), "safe", "B7 C14", "DIC: there is no I-side"),
    # --- Later loads -----------------------------------------------------------------------------
    Row("late-memslot", "none pou-on-fault", NO_FWB, "unsafe", "A1 A18", "as at boot"),
    Row("late-memslot", f"poc-on-fault poc-on-fault-mmu-off {KERNELS}", BY_VA, "safe", "A18", "faults"),
    Row("late-memslot", "poc-on-fault", VIPT, "unsafe", "A1", "PIPT only"),
    Row("late-memslot", "mainline-2021", MANAGED, "safe", "A18 B1.13", "it faults"),
    Row("late-memslot", "clean-ram-at-first-run setway-at-first-run", BY_VA, "unsafe", "A5", "too early"),
    Row("late-memslot", "outer-at-first-run", OUTER, "unsafe", "A5 A18", "too early"),
    Row("late-load", f"{THREAD} {KERNELS}", NO_FWB, "unsafe", "A21", "mapped already: nobody is told"),
    Row("late-load", "fwb mainline-2021", FWB, "unsafe", "A21 B1.12", "coherent data, an old I-side"),
    Row("late-load", "fwb-dic mainline-2021", FWB_DIC, "safe", "A21 C14", "nothing is left to do"),
    Row("late-load", "user-space", BY_VA, "safe", "A21", "only user space knows; it does both sides"),
    Row("late-load", "user-space", VIPT, "unsafe", "C14", "IC IVAU at another VA than the guest's"),
    Row("late-load", "xen-2014", NO_DIC, "unsafe", "B8.23", "the toolstack's cleaning leaves the I-side"),
    Row("late-load", "default-cacheable", NO_DIC + OUTER, "unsafe", "A21", "the I-side"),
    # --- What the host does on its own -----------------------------------------------------------
    Row("swap", f"{THREAD} user-space mainline-2014", BY_VA, "unsafe", "B1.5 B8.4", "stale lines go out"),
    Row("swap", "mainline-2015", BY_VA + VIPT, "safe", "B1.5", "cleaned on unmap; here caches are off"),
    Row("swap", "mainline-2021", MANAGED, "safe", "B1.5 B1.12", "cleaned on unmap, or nothing to clean"),
    Row("swap", "fwb", FWB, "safe", "B1.12", "the guest cannot write uncached"),
    Row("swap cow reboot", "xen-2014", BY_VA, "n/a", "B7", "Xen on Arm does none of them"),
    Row("cow", f"{THREAD} mainline-2014 mainline-2015", BY_VA, "unsafe", "B1.9 B8.10", "mapped unclean"),
    Row("cow", "mainline-2021", MANAGED, "safe", "B1.9 B1.13", "cleaned where the entry is written"),
    Row("cow", "default-cacheable", NO_FWB, "safe", "A8", "host and guest are both cacheable"),
    # --- The guest switches its caches -----------------------------------------------------------
    Row("guest-enables-mmu", f"{THREAD} user-space", BY_VA, "unsafe", "A3 B8.5", "stale lines appear"),
    Row("guest-enables-mmu", KERNELS, BY_VA, "safe", "B1.2 B1.3", "all pages cleaned at that moment"),
    Row("guest-enables-mmu", "mainline-2021", MANAGED, "safe", "B1.3", "the same; nothing with FWB"),
    Row("guest-enables-mmu", "default-cacheable", NO_FWB, "safe", "A8", "cacheable before and after"),
    # Xen's message says that its invalidation prevents this. Its own mapping of RAM may refill.
    Row("guest-enables-mmu", "xen-2014", NO_FWB, "unsafe", "B1.3 C3", "refilled since the invalidation"),
    Row("guest-c-after-m", "default-cacheable", NO_FWB, "unsafe", "A8 B8.20", "M=1 C=0: Non-cacheable"),
    Row("guest-c-after-m", KERNELS, BY_VA, "safe", "B1.2", "trapped until both are set"),
    Row("guest-c-after-m", "mainline-2021", MANAGED, "safe", "B1.2 B1.12", "trapped, or FWB"),
    Row("guest-c-after-m", "none pou-on-fault poc-on-fault", BY_VA, "unsafe", "B1.3", "as for M and C"),
    Row(
        "guest-setway",
        f"{THREAD} default-cacheable xen-2014 mainline-2014",
        (*MANY_PES, "neoverse-dic", "xgene-l3-up"),
        "unsafe",
        "A6 B1.6 B8.6",
        "own PE only, and not into an L3",
    ),
    Row("guest-setway", "poc-on-fault", ("cortex-a57-up",), "safe", "A7", "one PE, no other cache"),
    Row("guest-setway", "mainline-2015 mainline-2021", BY_VA, "safe", "B1.6", "trapped, done by VA"),
    Row("guest-setway", "fwb", FWB, "safe", "B1.12", "the guest cannot read uncached"),
    # --- Several vCPUs and mappings --------------------------------------------------------------
    Row(
        "second-vcpu-mmu-off",
        "none pou-on-fault poc-on-fault-mmu-off mainline-2014 mainline-2015",
        BY_VA,
        "unsafe",
        "A19 B1.8",
        "the vCPU that faulted had its caches on",
    ),
    Row("second-vcpu-mmu-off", "poc-on-fault", BY_VA, "safe", "A19", "whoever faults"),
    Row("second-vcpu-mmu-off", "mainline-2021", MANAGED, "safe", "B1.8", "whoever faults"),
    Row(
        "guest-nc-mapping",
        "none pou-on-fault poc-on-fault-mmu-off mainline-2014 mainline-2015",
        BY_VA,
        "unsafe",
        "A19 B1.7 B1.8",
        "caches are on, but not for this mapping",
    ),
    Row("guest-nc-mapping", "default-cacheable", BY_VA, "unsafe", "A8", "DC has no say with the MMU on"),
    Row("guest-nc-mapping", "poc-on-fault", BY_VA, "safe", "A19", "whatever the guest maps"),
    Row("guest-nc-mapping", "mainline-2021", MANAGED, "safe", "B1.8 B1.12", "whatever the guest maps"),
    # Read from the policy's name this is about its set/way loop; it is about the guest's maintenance.
    Row("vcpu-migration", f"{THREAD} setway-at-first-run {KERNELS}", BY_VA, "safe", "C5", "HCR_EL2.FB"),
    Row("vcpu-migration", "mainline-2021", MANAGED, "safe", "C5 C9", "FB, and a DSB at the switch"),
    Row("vcpu-migration", "mainline-2021", OUTER, "unsafe", "C2", "the guest's own clean ends above it"),
    Row(
        "icache-isolation",
        "poc-on-fault mainline-2014 mainline-2015",
        BY_VA,
        "unsafe",
        "B1.14 B8.2",
        "two vCPUs, one I-cache",
    ),
    Row("icache-isolation", "mainline-2021", NO_FWB + FWB + FWB_DIC, "safe", "B1.14", "invalidated"),
    Row("icache-isolation", "default-cacheable", NO_FWB, "safe", "A8 B1.14", "no fetch goes to the PoC"),
    # --- Devices ---------------------------------------------------------------------------------
    Row("vgic-mmio", f"{THREAD} default-cacheable {KERNELS}", NO_FWB, "safe", "A10", "stage 2 wins"),
    Row("vgic-mmio", "fwb", FWB, "safe", "A10 C13", "stage 2 Device stays Device"),
    Row("dma-bootloader", "default-cacheable", NO_FWB, "unsafe", "A12", "its writes stay in caches"),
    Row("dma-bootloader", "mainline-2021", FWB + FWB_DIC, "unsafe", "A12", "the same hazard with FWB"),
    Row("dma-bootloader", f"poc-on-fault {KERNELS}", BY_VA, "safe", "A12", "both meet at the PoC"),
    Row("dma-coherent", f"{THREAD} {KERNELS} default-cacheable", NO_FWB, "safe", "B7", "both snoop"),
    Row("dma-coherent", "fwb", FWB, "safe", "B7", "both snoop"),
    # --- Reboot, and the next tenant -------------------------------------------------------------
    Row("reboot", THREAD, BY_VA, "unsafe", "B1.4", "still mapped, so nothing faults"),
    Row("reboot", KERNELS, BY_VA, "safe", "B1.4", "stage2_unmap_vm()"),
    Row("reboot", "mainline-2014 mainline-2015", VIPT, "unsafe", "A23", "caches on: D is not at the PoU"),
    Row("reboot", "mainline-2021", MANAGED, "safe", "B1.4 B1.12", "or the whole I-cache, with FWB"),
    Row("page-recycle", "none pou-on-fault", NO_FWB, "leak", "A1 B8.26", "the zeroes are in caches only"),
    Row("page-recycle", "poc-on-fault", BY_VA, "safe", "A1", "cleaned before the new guest has it"),
    Row("page-recycle", "poc-on-fault", VIPT, "leak", "A1", "PIPT only"),
    Row("page-recycle", "user-space", NO_FWB, "leak", "A3", "the kernel zeroed it, not user space"),
    Row("page-recycle", "mainline-2021", MANAGED, "safe", "B1.8 B1.12", "cleaned, or FWB"),
    # The order that XSA-364 broke is right here; but an I-cache may hold the old tenant's instructions.
    Row("page-recycle", "xen-2014", NO_DIC + VIPT, "leak", "B7 B8.26 C14", "the I-side"),
    Row("page-recycle", "xen-2014", ("neoverse-dic",), "safe", "B7 B8.26", "cleaned after the scrub"),
    # --- All of it at once -----------------------------------------------------------------------
    Row("anything", "poc-on-fault", ("xgene-l3",), "unsafe", "A B1", "any of the above"),
    Row("anything", "none pou-on-fault poc-on-prefetch-abort", ("xgene-l3",), "leak", "A1", "zeroes"),
    Row("anything", "poc-on-fault-mmu-off user-space", ("xgene-l3",), "leak", "A3 A19", "zeroes"),
    Row("anything", "mainline-2014 mainline-2015", ("xgene-l3",), "leak", "B1.7 B1.8", "read uncached"),
    Row("anything", "mainline-2021", ("xgene-l3", "fwb-dic"), "safe", "B1", "what it took until 2021"),
)  # fmt: skip

CELLS = [
    pytest.param(scenario, policy, row, id=f"{scenario}/{policy}/{'+'.join(row.platforms)}")
    for row in TABLE
    for scenario in row.scenario.split()
    for policy in row.policies.split()
]


@pytest.mark.parametrize(("scenario", "policy", "row"), CELLS)
def test_history(scenario: str, policy: str, row: Row) -> None:
    found = {name: cell(scenario, policy, name).verdict.value for name in row.platforms}
    assert found == dict.fromkeys(row.platforms, row.verdict), f"{row.facts}: {row.reason}"


def test_no_cell_is_claimed_twice_with_different_verdicts() -> None:
    claimed: dict[tuple[str, str, str], Row] = {}
    for row in TABLE:
        for scenario in row.scenario.split():
            for policy in row.policies.split():
                for name in row.platforms:
                    earlier = claimed.setdefault((scenario, policy, name), row)
                    assert earlier.verdict == row.verdict, (earlier, row)
    assert len(claimed) > 800


def test_every_scenario_and_policy_has_a_row() -> None:
    from pocwatch.kvm.policies import POLICIES
    from pocwatch.kvm.scenarios import SCENARIOS

    assert {s for row in TABLE for s in row.scenario.split()} == set(SCENARIOS)
    assert {p for row in TABLE for p in row.policies.split()} == set(POLICIES)
