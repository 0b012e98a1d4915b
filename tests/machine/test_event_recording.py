"""The plugin's event recording of a small bare-metal hypervisor and its guest, record by record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocwatch.arch.ops import Op
from pocwatch.cost.counts import Counts
from pocwatch.cost.recording import Recording, read
from pocwatch.cost.recording.counted import Lines, Maintained, counted
from pocwatch.cost.recording.happenings import (
    Context,
    Entry,
    Fault,
    Happening,
    Invalidation,
    Maintenance,
    OtherExit,
    RegisterTrap,
    Touch,
    Written,
)
from pocwatch.cost.recording.later_use import PAST_CACHES, later_use
from pocwatch.cost.recording.ram import guest_ram
from pocwatch.cost.recording.record import Flag
from pocwatch.cost.recording.replay import replay
from pocwatch.cost.recording.syndrome import FaultKind
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Access
from pocwatch.platforms import load
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options

pytestmark = pytest.mark.machine

START = 0x4020_0000
GUEST, READ, WRITTEN_TO = START + 0x6000, START + 0x7000, START + 0x8000
IN_BLOCK, BLOCK_BYTES = 0x4040_5000, 2 << 20
VCPU = 0x8000_0000  # VMPIDR_EL2

# EL2 turns its MMU on (one descriptor of 1 GiB, Write-Back) and lets a host at EL1 write three
# doublewords to two lines of the page `read`. Then it runs a guest with its MMU off behind a stage 2 of
# 4 KiB pages, all invalid at first: as KVM does, it cleans and invalidates a page to the PoC when it
# maps it, execute-never unless it was fetched from. Traps (TSW, TVM) are stepped over. There is one
# entry of 2 MiB, valid from the start; the guest's first hypercall invalidates it in TLBs, the second
# ends the machine.
PROGRAM = """
    .text
    .global _start
_start:
    ldr x0, =vectors
    msr vbar_el2, x0
    ldr x0, =table
    msr ttbr0_el2, x0
    msr ttbr0_el1, x0
    ldr x1, =0x80803519   // TCR_EL2: T0SZ 25, WB WA, 4 KiB
    msr tcr_el2, x1
    ldr x1, =0x80813519   // TCR_EL1: the same; no walks by TTBR1
    msr tcr_el1, x1
    mov x1, #0xff         // Attr0 Normal Write-Back
    msr mair_el2, x1
    msr mair_el1, x1
    mov x2, #0x1005       // M, C, I
    mrs x1, sctlr_el1
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    mrs x1, sctlr_el2
    orr x1, x1, x2
    msr sctlr_el2, x1
    isb
    mov x0, #1 << 31      // HCR_EL2.RW
    msr hcr_el2, x0
    mov x28, #0
    ldr x0, =host
    b enter
host:
    ldr x0, =read
    str xzr, [x0]
    str xzr, [x0, #8]
    str xzr, [x0, #64]
    hvc #0

run_guest:
    mov x28, #1
    mrs x1, sctlr_el1
    mov x2, #0x1005
    bic x1, x1, x2
    msr sctlr_el1, x1
    ldr x0, =0x84400001   // RW, TVM, TSW, VM
    msr hcr_el2, x0
    ldr x0, =0x80003559   // VTCR_EL2: T0SZ 25, from level 1, WB WA, 4 KiB
    msr vtcr_el2, x0
    ldr x0, =stage2
    orr x0, x0, #1 << 48
    msr vttbr_el2, x0
    mov x0, #1 << 31
    msr vmpidr_el2, x0
    tlbi alle1
    dsb sy
    ldr x0, =guest
enter:
    msr elr_el2, x0
    mov x1, #0x3c5        // EL1h
    msr spsr_el2, x1
    isb
    eret

lower:
    mrs x20, esr_el2
    lsr x21, x20, #26
    cmp x21, #0x16
    b.eq hypercall
    cmp x21, #0x18
    b.eq step_over
    mrs x22, hpfar_el2
    lsr x22, x22, #4
    lsl x22, x22, #12
    ldr x27, =stage2 + 0x2000
    ubfx x25, x22, #12, #9
    and x23, x20, #0x3c
    cmp x23, #0xc
    b.eq executable
    mov x24, x22
    mov x23, #64
1:  dc civac, x24
    add x24, x24, #64
    subs x23, x23, #1
    b.ne 1b
    dsb sy
    orr x26, x22, #0x7ff  // a page: read, write, Write-Back
    cmp x21, #0x20
    b.eq 2f
    orr x26, x26, #1 << 54
2:  str x26, [x27, x25, lsl #3]
    dsb sy
    eret
executable:
    ldr x26, [x27, x25, lsl #3]
    bic x26, x26, #1 << 54
    str x26, [x27, x25, lsl #3]
    dsb sy
    lsr x24, x22, #12
    tlbi ipas2e1is, x24
    dsb sy
    tlbi vmalle1is
    dsb sy
    isb
    ic ivau, x22
    dsb sy
    eret
step_over:
    mrs x22, elr_el2
    add x22, x22, #4
    msr elr_el2, x22
    eret
hypercall:
    cbz x28, run_guest
    cmp x28, #2
    b.eq off
    mov x28, #2
    ldr x24, =0x40403     // any page of the block
    tlbi ipas2e1is, x24
    dsb sy
    tlbi vmalle1is
    dsb sy
    isb
    eret
off:
    ldr w0, =0x84000008   // PSCI SYSTEM_OFF
    smc #0
    b .
    .ltorg

    .balign 2048
vectors:
    .fill 0x400 / 4, 4, 0x14000000
    b lower
    .fill 0x3fc / 4, 4, 0x14000000

    .balign 4096
table:
    .quad 0
    .quad 0x40000701      // 1 GiB block at 1 GiB: Attr0, accessed, inner shareable
    .fill 510, 8, 0
stage2:
    .quad 0
    .quad stage2 + 0x1003
    .fill 510, 8, 0
    .quad 0
    .quad stage2 + 0x2003
    .quad 0x404007fd      // 2 MiB
    .fill 509, 8, 0
    .fill 512, 8, 0

    .org 0x6000
guest:
    ldr x0, =read
    ldr x1, [x0]
    ldr x3, =written_to
    str x1, [x3]
    dc civac, x0
    dsb sy
    dc isw, xzr
    msr ttbr0_el1, x3
    ldr x5, =0x40405000   // in the block
    ldr x4, [x5]
    add x3, x3, #64
    br x3
    .ltorg
    .balign 4096
read:
    .fill 512, 8, 0
written_to:
    .fill 8, 8, 0
    hvc #0
    ldr x4, [x5]
    hvc #0
    .balign 4096
"""


@pytest.fixture(scope="module")
def recording(plugin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("events")
    source, program, events = folder / "program.s", folder / "program", folder / "events"
    source.write_text(PROGRAM)
    for words in (
        ("as", "-o", f"{program}.o", source),
        ("ld", f"-Ttext={START:#x}", "-o", f"{program}.elf", f"{program}.o"),
        ("objcopy", "-O", "binary", f"{program}.elf", program),
    ):
        subprocess.run([f"aarch64-linux-gnu-{words[0]}", *words[1:]], check=True)
    loaders = (
        f"loader,file={program},addr={START:#x},force-raw=on",
        f"loader,addr={START:#x},cpu-num=0",
    )
    command = [
        *("qemu-system-aarch64", "-M", "virt,virtualization=on", "-cpu", "cortex-a57", "-m", "64M"),
        *("-nodefaults", "-display", "none"),
        *(word for each in loaders for word in ("-device", each)),
    ]
    options = Options(command=command, platform="cortex-a57-up", events=events)
    report = launch.run(launch.plan(options), lambda _: None)
    assert report.complete, report.failure
    return read(events)


def told(h: Happening) -> tuple[object, ...]:
    """A happening in short."""
    match h:
        case Written():
            return ("written", h.pa, h.va, h.size_bytes)
        case Entry():
            return ("entry", h.vcpu, h.flags)
        case Fault():
            abort = h.abort
            assert (abort.level, abort.of_walk) == (3, False)
            return ("fault", abort.kind, abort.access, h.ipa)
        case RegisterTrap():
            return ("trap", h.access.name, h.value)
        case OtherExit():
            return ("exit", h.reason)
        case Maintenance():
            return (h.op, h.el, h.pa, h.ipa, h.count, h.changed, h.dirty)
        case Touch():
            assert h.block_bytes == (BLOCK_BYTES if h.ipa == IN_BLOCK else 4096)
            assert h.ipa == h.pa
            return ("touch", h.ipa, h.op, h.flags & (Flag.MMU_ON | Flag.PAST_CACHES))
        case Invalidation():
            return ("tlbi", h.ipa)


def test_every_record(recording: Recording) -> None:
    """QEMU's own loader put the program into memory, where nothing is dirty but what the host wrote.

    The first fetch faults before the guest executes anything. The guest's DC CIVAC comes after the
    hypervisor's own and is redundant. The TLBI of `written_to` lets its fetch count as a first use; that
    of a page of the block, the use of another page of it.
    """
    entry = ("entry", VCPU, Flag.TRAPS_MMU | Flag.TRAPS_SET_WAY)
    read_fault, fetch = Access.READ, Access.FETCH
    civac = (Op.DC_CIVAC, 2)
    assert [told(h) for h in recording.happenings] == [
        ("written", READ, READ, 24),
        entry,
        ("fault", FaultKind.TRANSLATION, fetch, GUEST),
        (*civac, GUEST, None, 64, 0, 0),
        entry,
        ("touch", GUEST, Op.IF, Flag.PAST_CACHES),
        ("touch", GUEST, Op.LD, Flag.PAST_CACHES),  # literals
        ("fault", FaultKind.TRANSLATION, read_fault, READ),
        (*civac, READ, None, 64, 2, 2),
        entry,
        ("touch", READ, Op.LD, Flag.PAST_CACHES),
        ("fault", FaultKind.TRANSLATION, Access.WRITE, WRITTEN_TO),
        (*civac, WRITTEN_TO, None, 64, 0, 0),
        entry,
        ("touch", WRITTEN_TO, Op.LD, Flag.PAST_CACHES),
        (Op.DC_CIVAC, 1, READ, READ, 1, 0, 0),
        ("trap", "DC ISW", 0),
        entry,
        ("trap", "TTBR0_EL1", WRITTEN_TO),
        entry,
        ("touch", IN_BLOCK, Op.LD, Flag.PAST_CACHES),
        ("fault", FaultKind.PERMISSION, fetch, WRITTEN_TO),
        ("tlbi", WRITTEN_TO),
        (Op.IC_IVAU, 2, WRITTEN_TO, None, 1, 1, 0),
        entry,
        ("touch", WRITTEN_TO, Op.IF, Flag.PAST_CACHES),
        ("exit", "HVC"),
        ("tlbi", 0x4040_3000),
        entry,
        ("touch", IN_BLOCK, Op.LD, Flag.PAST_CACHES),
        ("exit", "HVC"),
    ]


def test_counts(recording: Recording) -> None:
    (c,) = counted(recording)
    assert c.entries == 8
    assert c.maintenance == {
        Maintained(Context.FAULT, Op.DC_CIVAC): Lines(3 * 64, 2, 2),
        Maintained(Context.GUEST, Op.DC_CIVAC): Lines(1, 0, 0),
        Maintained(Context.FAULT, Op.IC_IVAU): Lines(1, 1, 0),
    }
    # Two a translation fault, four behind the permission fault; one before the guest, one in it.
    assert c.dsbs == {
        Context.BEFORE: 1,
        Context.FAULT: 3 * 2 + 4,
        Context.GUEST: 1,
        Context.OTHER_EXIT: 2,
    }
    assert (c.first_used_off, c.first_used_on, c.past_caches) == (4, 0, 4)
    assert c.blocks == {4096: 3, BLOCK_BYTES: 1}
    assert c.invalidations == {Context.FAULT: 1, Context.OTHER_EXIT: 1}
    assert c.register_traps == {"TTBR0_EL1": 1}
    assert c.set_way_traps == {"DC ISW": 1}
    assert later_use(recording) == {PAST_CACHES: 3 * 64}


def test_what_user_space_wrote(recording: Recording) -> None:
    (vm,) = recording.vms()
    ram = guest_ram(recording, vm)
    assert ram.loaded == {READ: 24}
    assert ram.written_later == {}
    assert ram.touched == {GUEST, READ, WRITTEN_TO, IN_BLOCK}


def test_policies(recording: Recording) -> None:
    """By hand. The block is mapped, unmapped by the TLBI behind the hypercall, and mapped again.

    HCR_EL2.TVM is set from the start, so the set/way operation is no reason to clean.
    """
    platform = load("xgene-l3")
    names = ["none", "mainline-2021", "poc-on-fault-mmu-off", "xen-2014"]
    wanted = [POLICIES[name] for name in names]
    of = {one.policy: one.counts for one in replay(recording, platform, wanted)}
    faults = {"stage2_faults": 2 + 2, "prefetch_faults": 1}
    page, block = 64, 512 * 64  # lines
    assert of["none"] == Counts(**faults)
    assert of["mainline-2021"] == Counts(
        **faults,
        permission_faults=1,
        traps_tvm=1,
        traps_tsw=1,
        dc_poc_dirty=3 * page + block,
        dc_poc_absent=2 * block,
        ic_ivau=2 * page,  # the page of the code when it is mapped, and `written_to`
        dsb=(3 + 1 + 1 + 1) + 2,
    )
    assert of["poc-on-fault-mmu-off"] == Counts(
        **faults,
        dc_poc_dirty=3 * page + block,
        dc_poc_absent=block,
        dc_pou=3 * page + 2 * block,
        ic_ivau=3 * page + 2 * block,
        dsb=5 * 3,
    )
    # Allocated: three pages and the block; written by user space: one page.
    assert of["xen-2014"] == Counts(**faults, dc_poc_dirty=4 * page + block, dsb=4 + 512)


def test_where_it_cannot_be_written(plugin_path: Path, tmp_path: Path) -> None:
    command = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "64M"]
    silent = ["-nodefaults", "-display", "none"]
    options = Options(command=[*command, *silent], events=tmp_path / "none" / "events")
    report = launch.run(launch.plan(options), lambda _: None)
    assert not report.complete
