"""The rules of the KVM model, one test each, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from walk import follow, reach, start, steps, transitions

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.check.audit import audit
from pocwatch.kvm import device, host, kernel, vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.guest import Sctlr
from pocwatch.kvm.kernel import is_locked
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policy import Occasion, Policy, of
from pocwatch.kvm.scenario import Agent, Scenario
from pocwatch.kvm.scenario import device as a_device
from pocwatch.kvm.scenario import host as a_host
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.script import repeat, seq
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Word, decide
from pocwatch.platforms import Platform

XGENE = platforms.load("xgene-l3")
MAINLINE = POLICIES["mainline-2021"]
OFF, M_ONLY = Sctlr(), Sctlr(m=True)
ALL_ON = Sctlr(m=True, c=True, i=True)
SET_ALL_ON = vcpu.sctlr(m=True, c=True, i=True)


def scenario(*agents: Agent) -> Scenario:
    """Agents of a test's own."""
    return Scenario("test", "a test's own", "none", agents)


def verdict(made: Scenario, policy: Policy = MAINLINE, platform: Platform = XGENE) -> Word:
    """Judge it."""
    return decide(made, policy, platform).verdict


# --- Traps (B1.2, B1.3, B1.6) --------------------------------------------------------------------

_SWITCHING = scenario(
    a_vmm(seq(vmm.write(), signal("loaded"))),
    a_vcpu(
        seq(
            wait("loaded"),
            vcpu.run(),
            vcpu.read(),
            vcpu.sctlr(m=True),
            SET_ALL_ON,
            vcpu.maintain(Op.DC_CISW),
            vcpu.maintain(Op.DC_CISW),
            vcpu.sctlr(),
        )
    ),
)
_LOADED = (
    "VMM: touches",
    "VMM: zeroes",
    "VMM: writes",
    "VMM: tells",
    "vCPU0: learns",
    "vCPU0: KVM_RUN",
    "vCPU0: is loaded",
    "vCPU0: enters",
)
_FIRST_READ = (
    "vCPU0: read: stage 2 data abort",
    "vCPU0: dc civac; dsb",
    "vCPU0: writes the stage 2 entry (rw)",
    "vCPU0: reads",
)


def test_tvm_is_set_until_m_and_c_are_both_set_and_again_after_set_way() -> None:
    """B1.2, B1.3, B1.6: Linux kvm_toggle_cache() and kvm_set_way_flush()."""
    system = System(_SWITCHING, MAINLINE, XGENE)
    state = follow(system, start(system), *_LOADED, *_FIRST_READ)
    assert state.vcpus[0].tvm
    # M alone: trapped, but caches are as off as before, so nothing is cleaned and the trap stays.
    state = follow(system, state, "vCPU0: writes SCTLR_EL1 M=1 C=0", "vCPU0: sets", "vCPU0: enters")
    assert (state.vcpus[0].sctlr, state.vcpus[0].tvm) == (M_ONLY, True)
    trapped = follow(system, state, "vCPU0: writes SCTLR_EL1 M=1 C=1")
    assert list(steps(system, trapped)) == ["vCPU0: dc civac; dsb"]
    assert trapped.vcpus[0].sctlr == M_ONLY, "it takes effect after the cleaning"
    state = follow(system, trapped, "vCPU0: dc", "vCPU0: sets", "vCPU0: enters")
    assert (state.vcpus[0].sctlr, state.vcpus[0].tvm) == (ALL_ON, False)
    # The first set/way operation is done by VA and sets TVM; the next has no more to do.
    state = follow(system, state, "vCPU0: dc cisw: trapped")
    assert list(steps(system, state)) == ["vCPU0: dc civac; dsb"]
    state = follow(system, state, "vCPU0: dc civac", "vCPU0: sets HCR_EL2.TVM", "vCPU0: enters")
    assert state.vcpus[0].tvm
    state = follow(system, state, "vCPU0: dc cisw: trapped")
    assert list(steps(system, state)) == ["vCPU0: enters the guest"]
    state = follow(system, state, "vCPU0: enters", "vCPU0: writes SCTLR_EL1 M=0 C=0")
    assert list(steps(system, state)) == ["vCPU0: dc civac; dsb"]


def test_without_traps_the_guest_is_not_seen() -> None:
    system = System(_SWITCHING, POLICIES["poc-on-fault"], XGENE)
    events = {action.event for _, action, _ in transitions(system)}
    assert "dc cisw" in events
    assert "sets SCTLR_EL1 M=1 C=1 I=1" in events
    assert not any("trapped" in event for event in events)


def test_with_fwb_set_way_is_trapped_and_nothing_is_done_and_tvm_is_never_set() -> None:
    """B1.12: Linux access_dcsw() of v5.16."""
    system = System(_SWITCHING, MAINLINE, platforms.load("fwb"))
    seen = list(transitions(system))
    assert not any(state.vcpus[0].tvm for state, _, _ in seen)
    assert any(action.event == "dc cisw: trapped (HCR_EL2.TSW)" for _, action, _ in seen)
    assert not any("civac" in action.event for _, action, _ in seen)


def test_dc_is_cleared_when_the_guest_sets_m() -> None:
    """A8: from M=1 C=0 on its accesses are Non-cacheable."""
    system = System(_SWITCHING, POLICIES["default-cacheable"], XGENE)
    state = reach(system, lambda s: s.vcpus[0].sctlr == M_ONLY)
    assert (state.vcpus[0].dc, state.vcpus[0].tvm) == (False, True)
    assert start(system).vcpus[0].dc


# --- The guest's own maintenance (C5, C7, C9) ----------------------------------------------------


def _one_vcpu(*script: object) -> Scenario:
    return scenario(a_vcpu(seq(vcpu.run(), SET_ALL_ON, *script)))  # type: ignore[arg-type]


def test_a_guests_dc_ivac_loses_nothing() -> None:
    """C7: with HCR_EL2.VM it cleans as well."""
    made = _one_vcpu(vcpu.write(), vcpu.maintain(Op.DC_IVAC), vcpu.barrier(Op.DSB), vcpu.read())
    assert verdict(made) is Word.SAFE
    system = System(made, MAINLINE, XGENE)
    told = {
        (*(str(step) for _, step in action.steps), action.why)
        for _, action, _ in transitions(system)
        if action.event == "dc ivac"
    }
    assert told == {("P1 dc civac", "dc ivac acts as dc civac under KVM")}


@pytest.mark.parametrize(("broadcasts", "expected"), [(True, Word.SAFE), (False, Word.UNSAFE)])
def test_hcr_fb_makes_local_instruction_maintenance_reach_all_pes(
    broadcasts: bool, expected: Word
) -> None:
    """C5: a guest that knows one CPU is moved between IC IALLU and the fetch.

    It has executed the page before: else KVM's own invalidation at the first fetch makes up for it.
    """

    class Broadcasts(Mainline2021):
        name = "test"

        def __init__(self) -> None:
            self.broadcasts = broadcasts

    local = (
        vcpu.maintain(Op.DC_CVAU),
        vcpu.barrier(Op.DSB),
        vcpu.maintain(Op.IC_IALLU),
        vcpu.barrier(Op.DSB),
        vcpu.barrier(Op.ISB),
    )
    made = scenario(
        a_host(repeat(host.migrate())),
        a_vcpu(seq(vcpu.run(), SET_ALL_ON, vcpu.fetch(), vcpu.write(), *local, vcpu.fetch())),
    )
    result = decide(made, of(Broadcasts), XGENE)
    assert result.verdict is expected
    if result.trace:
        assert result.trace[-1].event == "executes"
        assert any(action.event == "moves vCPU0 from P1 to P0" for action in result.trace)


@pytest.mark.parametrize(("moved", "expected"), [(True, Word.SAFE), (False, Word.UNSAFE)])
def test_a_context_switch_completes_the_guests_maintenance(moved: bool, expected: Word) -> None:
    """C9: without a DSB of its own, only the one in __switch_to() makes the clean complete."""
    moves = [host.migrate()] if moved else []
    made = scenario(
        a_host(seq(wait("cleaned"), *moves, signal("moved"))),
        a_vcpu(
            seq(
                vcpu.run(),
                SET_ALL_ON,
                vcpu.write(),
                vcpu.maintain(Op.DC_CVAC),
                signal("cleaned"),
                wait("moved"),
                signal("doorbell"),
            )
        ),
        a_device(seq(wait("doorbell"), device.dma_read(coherent=False))),
    )
    assert verdict(made) is expected


# --- What the host does (A22, B1.5, B1.9) --------------------------------------------------------


def test_swap_out_reads_through_the_caches() -> None:
    """B1.5: stale clean lines hide what the guest wrote uncached."""
    system = System(SCENARIOS["swap"], MAINLINE, XGENE)
    reads = {
        str(action.steps[-1][1])
        for _, action, _ in transitions(system)
        if action.event.startswith("swaps the page out")
    }
    assert reads == {"P0 ld wb", "D0 rd coherent"}


def _events_from(system: System, first: str, last: str) -> list[str]:
    """The events of an agent alone, from one to another, while the page is mapped."""
    begun, state = next(
        (action, after)
        for before, action, after in transitions(system)
        if action.event.startswith(first) and before.slots[0].mapped
    )
    events = [begun.event]
    while not events[-1].startswith(last):
        mine = [(a, s) for a, s in system.actions(state) if a.agent == begun.agent]
        action, state = mine[0]
        events.append(action.event)
    return events


def test_ksm_clears_the_entry_and_maps_the_other_page_without_a_fault() -> None:
    """B1.9: kvm_set_spte_hva(); in between nothing is mapped (break-before-make)."""
    system = System(SCENARIOS["cow"], MAINLINE, XGENE)
    assert _events_from(system, "finds the page's content elsewhere", "writes the stage 2") == [
        "finds the page's content elsewhere (KSM)",
        "clears the stage 2 entry; tlbi; dsb",
        "dc civac; dsb",
        "merges the page with another process's of the same content",
        "dc civac; dsb",
        "writes the stage 2 entry (r)",
    ]


def test_the_notifier_path_has_a_hook_of_its_own() -> None:
    """B1.9: at_change_pte for what is mapped without a fault, before at_map for whatever is mapped."""

    class Tells(Mainline2021):
        name = "tells"

        def at_change_pte(self, occasion: Occasion) -> tuple[Op, ...]:
            return (Op.DC_CVAC, Op.DSB)

    system = System(SCENARIOS["cow"], of(Tells), XGENE)
    events = _events_from(system, "finds the page's content", "writes the stage 2")
    assert events[4:] == ["dc cvac; dsb", "dc civac; dsb", "writes the stage 2 entry (r)"]


def test_no_page_is_replaced_while_it_is_mapped() -> None:
    """Break-before-make: the page behind an entry only changes while there is none."""
    for name in ("cow", "swap"):
        system = System(SCENARIOS[name], MAINLINE, XGENE)
        replaced = 0
        for before, _, after in transitions(system):
            if before.slots[0].page != after.slots[0].page:
                replaced += 1
                assert not before.slots[0].mapped
                assert not after.slots[0].mapped
        assert replaced > 3, name


def test_work_under_the_mmu_lock_is_not_interleaved_with_other_such_work() -> None:
    """What user space does is not under it, and is interleaved."""
    together = 0
    busy = scenario(
        a_vmm(repeat(vmm.write())),
        a_host(repeat(host.swap_out())),
        a_vcpu(seq(vcpu.run(), repeat(vcpu.read()))),
    )
    for state, _, _ in transitions(System(busy, POLICIES["user-space"], XGENE)):
        first = [thread.work[0] for thread in state.threads if thread.work]
        assert sum(map(is_locked, first)) <= 1
        together += len(first) > 1
    assert together


def test_a_write_to_a_shared_page_copies_it_and_the_old_one_is_judged() -> None:
    """The copy reads the old page through the linear map."""
    system = System(SCENARIOS["cow"], MAINLINE, XGENE)
    copies = [a for _, a, _ in transitions(system) if a.event.startswith("copies the shared page")]
    assert copies
    for action in copies:
        (old, load), (new, store) = action.steps
        assert (str(load).split()[1:], str(store).split()[1:]) == (["ld", "wb"], ["st", "wb"])
        assert old != new
        assert action.read == "fresh"


def test_a_page_is_new_in_every_free_place() -> None:
    """Which physical page is taken is not the model's to choose."""
    system = System(SCENARIOS["boot-image"], MAINLINE, XGENE)
    state = follow(system, start(system), "VMM: touches")
    assert {after.slots[0].page for _, after in system.actions(state)} == {0, 1}


def test_an_entry_is_execute_never_until_it_is_fetched_from_unless_dic() -> None:
    """B1.9, B1.10."""
    for name, expected in (("xgene-l3", {False, True}), ("neoverse-dic", {True})):
        system = System(SCENARIOS["boot-image"], MAINLINE, platforms.load(name))
        mapped = {s.slots[0].executable for s, _, _ in transitions(system) if s.slots[0].mapped}
        assert mapped == expected, name


# --- Reset (B1.4, B1.12) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "events"),
    [
        ("xgene-l3", ["clears the stage 2 entry; tlbi; dsb", "dc civac; dsb"]),
        ("fwb", ["ic ialluis; dsb; isb"]),
        ("fwb-dic", []),
    ],
)
def test_reset_unmaps_or_invalidates_the_instruction_caches(
    platform: str, events: Sequence[str]
) -> None:
    """B1.4; B1.12 and K:3e0e7922: FWB does not say DIC."""
    system = System(SCENARIOS["reboot"], MAINLINE, platforms.load(platform))
    assert _events_from(system, "resets the VM", "tells: loaded again")[1:-1] == events


def test_reset_gives_the_vcpu_its_first_registers() -> None:
    system = System(SCENARIOS["reboot"], MAINLINE, XGENE)
    seen = transitions(system)
    resets = ((b, s) for b, a, s in seen if a.event.startswith("resets") and b.vcpus[0].sctlr.m)
    before, after = next(resets)
    assert not before.vcpus[0].tvm
    assert (after.vcpus[0].sctlr, after.vcpus[0].tvm, after.vcpus[0].running) == (OFF, True, False)


def test_user_space_that_loads_after_the_reset_gets_stale_fetches_with_fwb_and_no_dic() -> None:
    """A21, B1.12: the invalidation came before what was written."""
    made = scenario(
        a_vmm(
            seq(
                vmm.write(),
                signal("loaded"),
                wait("down"),
                vmm.reset(),
                vmm.write(),
                signal("loaded again"),
            )
        ),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                vcpu.fetch(),
                signal("down"),
                wait("loaded again"),
                vcpu.run(),
                repeat(vcpu.fetch()),
            )
        ),
    )
    found = {n: verdict(made, MAINLINE, platforms.load(n)) for n in ("xgene-l3", "fwb", "fwb-dic")}
    assert found == {"xgene-l3": Word.SAFE, "fwb": Word.UNSAFE, "fwb-dic": Word.SAFE}


# --- vCPUs on one PE (B1.14) ---------------------------------------------------------------------


def test_another_vcpu_of_the_vm_on_the_pe_calls_the_hook_and_the_same_one_does_not() -> None:
    """B1.14: Linux last_vcpu_ran."""
    system = System(SCENARIOS["icache-isolation"], MAINLINE, XGENE)
    loads = 0
    for state, action, after in transitions(system):
        if not action.event.startswith("is loaded"):
            continue
        loads += 1
        number = int(action.agent.removeprefix("vCPU"))
        was = state.loaded[1][0] if state.loaded[1] else -1
        work = after.threads[number].work
        hooked = [w for w in work if isinstance(w, kernel.Maintain) and w.hook == "at_vcpu_load"]
        assert bool(hooked) == (was not in (-1, number))
    assert loads > 3


def test_another_vm_on_the_pe_in_between_changes_nothing_about_that() -> None:
    """B1.14: Linux keeps last_vcpu_ran for each VM and PE."""
    three = scenario(
        a_vcpu(seq(vcpu.run(), signal("first"), wait("second"), vcpu.barrier(Op.DSB)), number=0),
        a_vcpu(seq(wait("third"), vcpu.run(), signal("second")), number=1),
        a_vcpu(seq(wait("first"), vcpu.run(), signal("third")), number=2, vm=1),
    )
    system = System(three, MAINLINE, platforms.load("xgene-l3-up"))
    hooked: list[tuple[tuple[int, ...], str, bool]] = []
    for state, action, after in transitions(system):
        if action.event.startswith("is loaded"):
            work = after.threads[int(action.agent[-1])].work
            hook = any(isinstance(w, kernel.Maintain) for w in work)
            hooked.append((state.loaded[0], action.agent, hook))
    assert ((), "vCPU0", False) in hooked
    assert ((0,), "vCPU2", False) in hooked, "of another VM"
    assert ((2, 0), "vCPU1", True) in hooked, "vCPU0 was the last of its VM"
    assert ((1, 2), "vCPU0", True) in hooked


# --- The model keeps its promises to the checker -------------------------------------------------


@pytest.mark.parametrize(
    ("name", "policy", "platform"),
    [
        ("boot-image", "poc-on-fault", "xgene-l3"),
        ("swap", "mainline-2021", "xgene-l3"),
        ("cow", "mainline-2015", "cortex-a53"),
        ("page-recycle", "mainline-2021", "fwb"),
        ("icache-isolation", "mainline-2021", "neoverse-dic"),
        ("vcpu-migration", "none", "cortex-a57"),
    ],
)
def test_the_model_is_what_the_checker_takes_it_for(name: str, policy: str, platform: str) -> None:
    """The same again when asked again, and `canonical` changes no answer."""
    system = System(SCENARIOS[name], POLICIES[policy], platforms.load(platform))
    assert audit(system, max_states=1500) > 20


def test_the_model_of_anything_is_too_at_its_beginning() -> None:
    assert audit(System(SCENARIOS["anything"], MAINLINE, XGENE), max_states=2500) == 2500
