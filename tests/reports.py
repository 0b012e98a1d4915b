"""A report as `run` makes it, from raw records, for the renderers' tests."""

from __future__ import annotations

import raw_records as raw

from pocwatch.arch.ops import Kind, Op
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Finding, Report, Suppressed
from pocwatch.sanitizer.locate import Locator, Program
from pocwatch.sanitizer.stacks import Stacks
from pocwatch.sanitizer.symbols import Symbol, SymbolTable
from pocwatch.trace.records import NO_ADDRESS, FindingKind, Flag, Frame, Why

DROP = "dc civac@dcache_clean_inval_poc"
WEAKEN = "dc civac=dc cvau@dcache_clean_inval_poc"
_HOST = SymbolTable.of(
    "host",
    [
        Symbol(raw.HOST_PC, "dcache_clean_inval_poc"),
        Symbol(raw.HOST_PC + 0x40, "__arch_copy_to_user"),
        Symbol(raw.HOST_PC + 0x200, "stage2_map"),
        Symbol(raw.HOST_PC + 0x300, "kvm_handle_guest_abort"),
        Symbol(raw.HOST_PC + 0x400, "end"),
    ],
)
_GUEST = SymbolTable.of(
    "guest", [Symbol(raw.GUEST_PC, "primary_entry"), Symbol(raw.GUEST_PC + 0x40, "next")]
)

# The host's stack of a clean is frame 3 and its callers, the guest's of a read frame 5 and its caller.
_FRAMES = [
    Frame(pc=raw.HOST_PC + 0x340, pc_pa=NO_ADDRESS, pc_ipa=NO_ADDRESS),
    Frame(pc=raw.HOST_PC + 0x240, pc_pa=NO_ADDRESS, pc_ipa=NO_ADDRESS, caller=1),
    Frame(pc=raw.HOST_PC + 0x10, pc_pa=NO_ADDRESS, pc_ipa=NO_ADDRESS, caller=2),
    Frame(pc=raw.GUEST_PC + 0x24, pc_pa=NO_ADDRESS, pc_ipa=raw.GUEST_PC + 0x24),
    Frame(pc=raw.GUEST_PC, pc_pa=NO_ADDRESS, pc_ipa=raw.GUEST_PC, caller=4),
]


def findings() -> list[Finding]:
    writer = raw.event(5, Op.ST, pc=raw.HOST_PC + 0x1C0)
    history = (
        raw.event(2, Op.DC_CVAU),
        raw.event(7, Op.DC_CIVAC, pc=raw.HOST_PC + 0x10, flags=Flag.DROPPED, rule=0, stack=3),
    )
    locator = Locator([Program("host", _HOST), Program("guest", _GUEST)])
    stacks = Stacks(locator, _FRAMES)
    analyst = Analyst(locator, [DROP], raw.PLATFORM, raw.describe, stacks)
    return [
        analyst.finding(raw.finding(FindingKind.STALE_FETCH, None, writer, history)),
        analyst.finding(
            raw.finding(
                FindingKind.STALE_READ,
                raw.guest_access(
                    Op.LD, Kind.DEV, size=8, va=raw.GUEST_PC + 0x18, pa=0x4A000018, stack=5
                ),
                writer,
                history,
                cell=3,
            )
        ),
    ]


def lost_write() -> Finding:
    """A guest's write with its MMU off to a page that the host zeroed and left dirty."""
    writer = raw.event(5, Op.ST, Kind.DEV, pc=raw.GUEST_PC, pc_ipa=raw.GUEST_PC, flags=Flag.VM)
    history = (
        raw.event(2, Op.DC_ZVA, pc=raw.HOST_PC + 0x100),
        raw.event(3, Op.DC_CVAU, flags=Flag.WEAKENED, rule=0),
        writer,
        raw.event(6, Op.DC_CIVAC, pc=raw.GUEST_PC + 8, flags=Flag.UPGRADED | Flag.VM),
    )
    access = raw.guest_access(
        Op.LD, Kind.WB, size=1, why=Why.S1_PAGE | Why.S2_ON, flags=Flag.VM | Flag.MMU_ON
    )
    locator = Locator([Program("host", _HOST), Program("guest", _GUEST)])
    analyst = Analyst(locator, [WEAKEN], raw.PLATFORM, raw.describe)
    found = raw.finding(FindingKind.LOST_WRITE, access, writer, history)
    found.count = 1
    return analyst.finding(found)


def dma() -> list[Finding]:
    """A device's read of what was not cleaned, and a read of what another wrote."""
    locator = Locator([Program("host", _HOST), Program("guest", _GUEST)])
    devices = ["virtio-blk at 0xa003e00", "NVMe at PCI 00:01.0"]
    analyst = Analyst(locator, [DROP], raw.PLATFORM, raw.describe, None, devices)
    written = raw.event(5, Op.ST, pc=raw.HOST_PC + 0x1C0)
    dropped = raw.event(7, Op.DC_CVAC, pc=raw.HOST_PC + 0x10, flags=Flag.DROPPED, rule=0)
    of_host = {"pc": raw.HOST_PC + 0x40, "pc_pa": raw.HOST_PA + 0x40, "pc_ipa": NO_ADDRESS}
    of_host |= {"ipa": NO_ADDRESS, "vm_id": 0, "s2_attr": 0xFF}
    access = raw.guest_access(
        Op.DMA_RD, Kind.NC, size=64, device=2, flags=Flag(0), why=Why(0), **of_host
    )
    device = raw.event(9, Op.DMA_WR, Kind.NC, pc=NO_ADDRESS, pc_pa=NO_ADDRESS, device=1)
    reader = raw.guest_access(
        Op.LD, Kind.WB, size=8, flags=Flag.MMU_ON, why=Why.S1_PAGE, s1_mair=0xFF, **of_host
    )
    read = raw.finding(FindingKind.DMA_STALE_READ, access, written, (dropped,))
    read.count = 1
    return [
        analyst.finding(read),
        analyst.finding(raw.finding(FindingKind.STALE_READ, reader, device, (device,))),
    ]


def report(**fields: object) -> Report:
    given: dict[str, object] = {
        "complete": True,
        "platform": "fake-l3",
        "qemu": "10.0.2",
        "command": (
            "pocwatch",
            "run",
            "--drop",
            DROP,
            "--",
            "qemu-system-aarch64",
            "-append",
            "a b",
        ),
        "instructions": 123_456_789,
        "accesses": 1000,
        "fetches": 900,
        "walks": 80,
        "maintenance": {"dc civac": 200, "ic ivau": 4},
        "redundant": {"dc civac": 50},
        "dropped": {DROP: 200},
        "findings": findings(),
        "suppressed": [Suppressed("fixmap", 1, 9, "ftrace patches it")],
        "warnings": ["something to know"],
    }
    return Report(**(given | fields))  # type: ignore[arg-type]
