"""The event recording of the real KVM and its real Linux guest, held against what else is known of it.

Linux kernel v6.1: arch/arm64/kvm/mmu.c (user_mem_abort), arch/arm64/kvm/hyp/pgtable.c
(stage2_map_walker_try_leaf, kvm_pgtable_stage2_relax_perms), arch/arm64/kvm/sys_regs.c.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pocwatch.arch.ops import Op
from pocwatch.cost.recording import Recording, read
from pocwatch.cost.recording.counted import Counted, counted, over_time
from pocwatch.cost.recording.happenings import Context, Entry, Maintenance, Touch
from pocwatch.cost.recording.later_use import FETCHED, PAST_CACHES, later_use
from pocwatch.cost.recording.ram import guest_ram
from pocwatch.cost.recording.replay import not_known, replay
from pocwatch.cost.recording.syndrome import FaultKind
from pocwatch.demo.machine import Machine
from pocwatch.kvm.policies import POLICIES
from pocwatch.platforms import load
from pocwatch.report import json as report_json
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options

pytestmark = pytest.mark.machine

PAGE_LINES = 4096 // 64


def record(command: list[str], prepared: Machine, events: Path) -> dict[str, Any]:
    options = Options(
        command=command, symbols=prepared.symbol_options(), events=events, redundant=True
    )
    return report_json.data(launch.run(launch.plan(options), lambda _: None))


@pytest.fixture(scope="module")
def run(
    plugin_path: Path, prepared: Machine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recording, dict[str, Any]]:
    """One boot, recorded, and its report."""
    events = tmp_path_factory.mktemp("recorded") / "events"
    report = record(prepared.qemu_args(), prepared, events)
    assert report["complete"], report["failure"]
    return read(events), report


@pytest.fixture(scope="module")
def total(run: tuple[Recording, dict[str, Any]]) -> Counted:
    (total,) = counted(run[0])
    return total


def test_maintenance_is_that_of_the_report(run: tuple[Recording, dict[str, Any]]) -> None:
    """Every operation is in both; and every one that changed nothing, but sets and whole I-caches."""
    recording, report = run
    assert recording.complete
    times: Counter[str] = Counter()
    redundant: Counter[str] = Counter()
    for h in recording.happenings:
        if isinstance(h, Maintenance):
            times[h.op.spelling] += h.count
            redundant[h.op.spelling] += h.count - h.changed
    assert times == report["maintenance"]
    assert +redundant == report["redundant"]


def test_each_translation_fault_on_ram_cleans_one_page(total: Counted) -> None:
    """Stage 2 entries are of 4 KiB here, as the VMM's memory is."""
    mapped = total.faults_of(FaultKind.TRANSLATION)
    assert mapped == total.blocks[4096] > 10_000
    cleaned = total.lines(Op.DC_CIVAC, context=Context.FAULT)
    assert cleaned.operations == PAGE_LINES * mapped
    # The kernel has zeroed, or read(2) has filled, every line through the caches.
    assert cleaned.dirty == cleaned.changed == cleaned.operations


def test_pages_become_executable_by_being_fetched(total: Counted) -> None:
    """KVM invalidates I-caches then, and each time breaks the entry before it makes it anew."""
    fetched = sum(n for f, n in total.faults.items() if f.of_ram and f.access.name == "FETCH")
    refused = total.faults_of(FaultKind.PERMISSION)
    invalidated = total.lines(Op.IC_IVAU, context=Context.FAULT)
    assert invalidated.operations == PAGE_LINES * fetched
    assert total.invalidations == {Context.FAULT: refused}
    assert 0 < refused < fetched


def test_cleaning_when_the_guest_turns_its_caches_on_is_redundant(total: Counted) -> None:
    """All pages mapped by then were cleaned when they were mapped, and written past the caches since."""
    assert total.register_traps["SCTLR_EL1"] > 0
    again = total.lines(Op.DC_CIVAC, context=Context.MMU_TRAP)
    assert again.operations == PAGE_LINES * total.first_used_off
    assert again.redundant == again.operations


def test_the_guest_used_few_pages_with_its_mmu_off(
    run: tuple[Recording, dict[str, Any]], total: Counted
) -> None:
    """The boot stub, its parameters, the kernel's start, its identity map, ..."""
    assert 4 <= total.first_used_off < 50
    assert total.first_used_on == pytest.approx(total.blocks[4096], abs=50)
    assert total.past_caches == total.first_used_off
    good_for = later_use(run[0])
    assert good_for[PAST_CACHES] == 2 * PAGE_LINES * total.past_caches
    assert good_for[FETCHED] < sum(good_for.values()) / 5


def test_the_vmm_loaded_what_the_guest_booted(
    run: tuple[Recording, dict[str, Any]], prepared: Machine
) -> None:
    """Kernel, initial RAM disk, device tree and boot stub; the latter two are small."""
    (vm,) = run[0].vms()
    ram = guest_ram(run[0], vm)
    kernel, busybox = (prepared.kernel.parent / n for n in ("Image", "busybox"))
    known = kernel.stat().st_size + busybox.stat().st_size
    assert known < sum(ram.loaded.values()) < known + 8192
    assert ram.written_later == {}
    assert len(ram.touched & ram.loaded.keys()) > 0.9 * len(ram.loaded)


def test_mainline_replayed_is_what_ran(
    run: tuple[Recording, dict[str, Any]], total: Counted
) -> None:
    """From the guest's uses of pages alone follow KVM's faults and maintenance, exactly.

    KVM's at the end of the VM would differ, if it were recorded as unmapping: its tables are freed.
    """
    (mainline,) = replay(run[0], load("xgene-l3"), [POLICIES["mainline-2021"]])
    counts, operations = mainline.counts, mainline.operations
    faults = counts.stage2_faults + counts.prefetch_faults
    assert faults == total.faults_of(FaultKind.TRANSLATION)
    assert counts.permission_faults == total.faults_of(FaultKind.PERMISSION)
    assert counts.traps_tvm == sum(total.register_traps.values())
    done = [total.lines(Op.DC_CIVAC, context=c) for c in (Context.FAULT, Context.MMU_TRAP)]
    assert operations[Op.DC_CIVAC] == sum(lines.operations for lines in done)
    assert counts.dc_poc_dirty == sum(lines.dirty for lines in done)
    assert operations[Op.IC_IVAU] == total.lines(Op.IC_IVAU, context=Context.FAULT).operations
    assert not_known(run[0]) == []


def test_policies_of_2013_fault_less(run: tuple[Recording, dict[str, Any]]) -> None:
    """Pages were executable at once, so no fetch was refused."""
    of = {one.policy: one for one in replay(run[0], load("xgene-l3"))}
    patch, before = of["poc-on-fault"].counts, of["pou-on-fault"].counts
    assert patch.permission_faults == 0
    assert patch.dc_poc_dirty == patch.dc_pou == before.dc_pou == patch.ic_ivau
    assert of["poc-on-fault-mmu-off"].counts.dc_poc_dirty < patch.dc_poc_dirty // 100
    assert of["fwb"].why_not == "xgene-l3 has no FEAT_S2FWB"


def test_slices_add_up(run: tuple[Recording, dict[str, Any]], total: Counted) -> None:
    slices = over_time(run[0], 7)
    assert len(slices) == 7
    assert sum(c.entries for c in slices) == total.entries
    assert sum(c.first_used_on for c in slices) == total.first_used_on
    lines = [c.lines(Op.DC_CIVAC, context=Context.FAULT).operations for c in slices]
    assert sum(lines) == total.lines(Op.DC_CIVAC, context=Context.FAULT).operations


def test_vhe_with_idc(plugin_path: Path, prepared: Machine, tmp_path: Path) -> None:
    """The host kernel at EL2. DC CVAU is redundant with IDC, which Linux learns of after ftrace's use."""
    report = record(prepared.qemu_args(cpu="neoverse-n1"), prepared, tmp_path / "events")
    assert report["complete"], report["failure"]
    recording = read(tmp_path / "events")
    (total,) = counted(recording)
    mapped = total.faults_of(FaultKind.TRANSLATION)
    assert total.lines(Op.DC_CIVAC, context=Context.FAULT).operations == PAGE_LINES * mapped
    cleaned = total.lines(Op.DC_CVAU)
    assert cleaned.redundant == cleaned.operations > 50_000
    (mainline,) = replay(recording, load("xgene-l3"), [POLICIES["mainline-2021"]])
    assert mainline.counts.stage2_faults + mainline.counts.prefetch_faults == mapped
    assert mainline.counts.permission_faults == total.faults_of(FaultKind.PERMISSION)


def test_fwb_with_dic(plugin_path: Path, prepared: Machine, tmp_path: Path) -> None:
    """Pages are executable at once and never maintained: facts B1.10, B1.12."""
    report = record(prepared.qemu_args(cpu="max"), prepared, tmp_path / "events")
    assert report["complete"], report["failure"]
    recording = read(tmp_path / "events")
    (total,) = counted(recording)
    assert total.faults_of(FaultKind.TRANSLATION) > 10_000
    assert total.faults_of(FaultKind.PERMISSION) == 0
    assert {key.context for key in total.maintenance} <= {
        Context.BEFORE,
        Context.GUEST,
        Context.OTHER_EXIT,
    }
    assert total.first_used_off > 0
    assert total.past_caches == 0  # stage 2 forces Write-Back
    (sentence,) = not_known(recording)
    assert "HCR_EL2.TVM" in sentence
    # Without DIC, first fetches of pages that are mapped would be refused.
    (fwb,) = replay(recording, load("fwb"), [POLICIES["fwb"]])
    assert fwb.counts.permission_faults > 1000
    assert fwb.counts.dc_poc_dirty + fwb.counts.dc_poc_absent == 0


def test_two_vcpus(
    plugin_path: Path, prepared: Machine, guest_of_two: list[str], tmp_path: Path
) -> None:
    """The PEs' records are in one order, in which what holds for each vCPU still holds.

    Both may fault on a page at once, so there are at least as many faults as pages. When the second
    vCPU turns its caches on, KVM cleans all that is mapped by then: about half of the guest's pages.
    """
    report = record(guest_of_two, prepared, tmp_path / "events")
    assert report["complete"], report["failure"]
    recording = read(tmp_path / "events")
    (total,) = counted(recording)
    assert recording.complete
    assert recording.pes == 2
    vcpus = {h.vcpu for h in recording.happenings if isinstance(h, Entry)}
    assert vcpus == {0x8000_0000, 0x8000_0001}
    pages = {h.ipa for h in recording.happenings if isinstance(h, Touch)}
    assert total.faults_of(FaultKind.TRANSLATION) >= len(pages) == total.blocks[4096]
    assert total.lines(Op.DC_CIVAC).operations == report["maintenance"]["dc civac"]
    again = total.lines(Op.DC_CIVAC, context=Context.MMU_TRAP).operations
    assert again > PAGE_LINES * len(pages) / 4
    (mainline,) = replay(recording, load("xgene-l3"), [POLICIES["mainline-2021"]])
    assert mainline.occasions["at_mmu_trap"] == (2, again // PAGE_LINES)
    done = total.lines(Op.DC_CIVAC, context=Context.FAULT).operations + again
    assert mainline.operations[Op.DC_CIVAC] == pytest.approx(done, rel=0.02)
