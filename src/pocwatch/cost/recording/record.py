"""The event recording: a header, then one record per thing that costs a hypervisor or its guest time.

Written by the QEMU plugin (`events=FILE`), read by `reader`; the C declarations are generated from the
structures here (`c_declarations`). Little-endian. A field that a kind does not name is 0, or
`NO_ADDRESS` for `ipa`, `pa` and `va`. Times are instructions executed by all PEs until then; with
several PEs the others' are as of their last publication, some 10,000 instructions ago at most.

Records of one PE are in program order but for `maintenance`, which stands where its last operation was.
Left out: DMA; AArch32 guests; what a guest hypervisor does at its own EL2 (nested virtualisation).
"""

from __future__ import annotations

import ctypes
import enum

from pocwatch import cdecl

MAGIC = b"PWEVENTS"
VERSION = 1
NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF


class EventKind(enum.IntEnum):
    """What a record is about, and what its fields say then.

    `vm` is the plugin's number of a VTTBR_EL2.BADDR; 0 is none. `op` is the operation as it took effect:
    upgraded ones (facts C7) and those of `--weaken` are what they became, dropped ones did not happen.
    `dsbs` counts the PE's DSBs since its previous record; in `maintenance`, up to its next one.
    """

    ENTRY = 1
    """From EL2 to EL1 or EL0 of a guest. `value`: VMPIDR_EL2, which tells vCPUs apart; Flag.TRAPS_*:
    HCR_EL2 as the guest runs under it."""
    EXCEPTION = 2
    """From a guest to EL2. `detail`: Vector. `syndrome`: ESR_EL2; `va`: FAR_EL2; `ipa`: the page in
    HPFAR_EL2, for aborts; `value`: Xt of a trapped register access. FAR and HPFAR are as QEMU gives
    them: architecturally they are UNKNOWN after some aborts."""
    MAINTENANCE = 3
    """`count` operations `op` in a row by one instruction at `va` (its PC) and EL, on one 4 KiB page
    `pa` (`ipa` under stage 2); on none for set/way operations and those of whole I-caches. `changed`:
    how many changed the state of their line in the automaton, or came while other operations were in
    flight on it; the others are redundant. `dirty`: how many found a line of which memory may have been
    stale, and a cache dirty. On ICs by VA `changed` says that I-caches might have been stale."""
    TOUCH = 4
    """A guest's first use of a 4 KiB page `ipa` in a combination of `op` (`ld` for all data accesses
    and maintenance, `if`, `tw` for walks of its stage 1), Flag.MMU_ON and Flag.PAST_CACHES; anew after a
    TLBI of that page or VM at EL2. `pa`: the page; `value`: the stage 2 leaf descriptor; `detail`: log2
    of its size in bytes; `va`: what was translated. Pages of watched RAM only."""
    WRITTEN = 5
    """User space of the host wrote `count` bytes to a page `pa`, at `va`, its latest page that is mapped
    there; or its kernel did through user space's addresses, as read(2) does. `value`: TTBR0 of then,
    without ASID: it tells processes apart. Since the kernel zeroed the page by DC ZVA, or since the
    last such record of it. Given for all pages at the first entry of each `vm`, and at the end."""
    TLBI = 6
    """A TLBI of stage 2 entries of `vm`: of a page `ipa`, or of all (`NO_ADDRESS`)."""
    END = 7
    """The machine ended in order. Without it, a recording is cut short."""


class Vector(enum.IntEnum):
    """How a guest was left."""

    SYNC = 0
    IRQ = 1
    FIQ = 2
    SERROR = 3


class Flag(enum.IntFlag):
    """Circumstances of a guest, in ENTRY, EXCEPTION and TOUCH."""

    MMU_ON = 1 << 0  # stage 1 enabled
    CACHES_ON = 1 << 1  # SCTLR_EL1.M and C both set
    I_ON = 1 << 2  # SCTLR_EL1.I set
    TRAPS_MMU = 1 << 3  # HCR_EL2.TVM
    TRAPS_SET_WAY = 1 << 4  # HCR_EL2.TSW
    FORCES_WB = 1 << 5  # HCR_EL2.FWB
    PAST_CACHES = (
        1 << 6
    )  # in TOUCH: the access is not Write-Back; it may see memory, not the caches


class _Record(ctypes.LittleEndianStructure):
    _pack_ = 1


class Event(_Record):
    """One record."""

    _fields_ = (
        ("time", ctypes.c_uint64),  # instructions
        ("ipa", ctypes.c_uint64),
        ("pa", ctypes.c_uint64),
        ("va", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("syndrome", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("changed", ctypes.c_uint32),
        ("dirty", ctypes.c_uint32),
        ("dsbs", ctypes.c_uint32),
        ("vm", ctypes.c_uint16),  # 0: none
        ("kind", ctypes.c_uint8),  # EventKind
        ("op", ctypes.c_uint8),  # arch.ops.Op
        ("pe", ctypes.c_uint8),
        ("el", ctypes.c_uint8),  # of what is told of
        ("flags", ctypes.c_uint8),  # Flag
        ("detail", ctypes.c_uint8),
        ("reserved", ctypes.c_uint32),
    )


class Header(_Record):
    """What a recording starts with."""

    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("record_size", ctypes.c_uint32),  # bytes
        ("n_pes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("ctr", ctypes.c_uint64),  # CTR_EL0
        ("clidr", ctypes.c_uint64),  # CLIDR_EL1
        ("ram_base", ctypes.c_uint64),
        ("ram_size", ctypes.c_uint64),
    )


def header(pes: int, **values: int) -> Header:
    """Return the header of a recording of this version."""
    size = ctypes.sizeof(Event)
    return Header(magic=MAGIC, version=VERSION, record_size=size, n_pes=pes, **values)


def c_declarations() -> str:
    """Return the C declarations of the records and enums, with size assertions."""
    lines = [
        f'#define PW_EVENTS_MAGIC "{MAGIC.decode()}"',
        f"#define PW_EVENTS_VERSION {VERSION}",
        *cdecl.enumeration("PW_IS", EventKind),
        *cdecl.enumeration("PW_GUEST", Flag),
        *cdecl.structure("pw_recorded", Event),
        *cdecl.structure("pw_events_header", Header),
    ]
    return "\n".join(lines) + "\n"
