"""The run file: what the QEMU plugin writes and the launcher reads while QEMU runs and after it died.

The file is mapped shared by both sides, so that it stays readable when QEMU is killed. Layout:
one `RunHeader`, then `max_findings` slots of `Finding`, then `max_frames` slots of `Frame`. The C
declarations are generated from the ctypes structures here (`c_declarations`). All numbers are
little-endian; addresses are byte addresses, `NO_ADDRESS` where there is none. Operation and kind
numbers are `arch.ops.Op`/`Kind`.
"""

from __future__ import annotations

import ctypes
import enum

from pocwatch import cdecl

MAGIC = b"POCWATCH"
VERSION = 3
NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF
MAX_PES = 64
MAX_RULES = 64
MAX_DEVICES = 32
DEVICE_NAME_BYTES = 48
MAX_OPS = 32
HISTORY_EVENTS = 12
CELLS_PER_LINE = 8


class FindingKind(enum.IntEnum):
    """Kinds of finding; the report spells them with hyphens (`stale-read`)."""

    STALE_READ = 0
    STALE_FETCH = 1
    STALE_WALK = 2
    DMA_STALE_READ = 3
    LOST_WRITE = 4
    UNSYNCED_FETCH = 5
    LEAK = 6
    REDUNDANT = 7


class Flag(enum.IntFlag):
    """Circumstances of an access or event."""

    VM = 1 << 0  # executed by a guest: EL1/0 with HCR_EL2.VM or DC in force
    MMU_ON = 1 << 1  # stage 1 enabled in the regime of the access
    DROPPED = 1 << 2  # maintenance that a --drop rule made the machine forget
    WEAKENED = 1 << 3  # maintenance that a --weaken rule replaced; `op` is what it became
    UPGRADED = 1 << 4  # DC IVAC/ISW executed as clean and invalidate (facts C7)
    COMPLETED = 1 << 5  # maintenance after which its PE executed a DSB


class Why(enum.IntFlag):
    """Why an access has its attributes: the controls that decided (facts C12, C13)."""

    S1_OFF = 1 << 0  # SCTLR_ELx.M == 0
    C_CLEAR = 1 << 1  # SCTLR_ELx.C == 0
    I_CLEAR = 1 << 2  # SCTLR_ELx.I == 0 (fetches)
    HCR_DC = 1 << 3
    HCR_CD = 1 << 4
    HCR_ID = 1 << 5
    S1_PAGE = 1 << 6  # the stage 1 descriptor's MAIR attribute
    S2_ON = 1 << 7
    S2_DECIDED = 1 << 8  # stage 2 changed what stage 1 asked for
    FWB = 1 << 9
    TCR_WALK = 1 << 10  # walk attributes from TCR_ELx/VTCR_EL2 IRGN/ORGN


class _Record(ctypes.LittleEndianStructure):
    _pack_ = 1


class Event(_Record):
    """One thing that happened to a line: a write, maintenance, a barrier that completed some."""

    _fields_ = (
        ("seq", ctypes.c_uint64),  # global order of recorded events, from 1; 0: empty slot
        ("pc", ctypes.c_uint64),  # VA of the instruction
        ("pc_pa", ctypes.c_uint64),
        ("pc_ipa", ctypes.c_uint64),  # NO_ADDRESS outside a VM
        ("op", ctypes.c_uint8),
        ("kind", ctypes.c_uint8),
        ("pe", ctypes.c_uint8),
        ("el", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),  # Flag
        ("cells", ctypes.c_uint8),  # bit i: 8-byte cell i of the line was touched
        ("vm_id", ctypes.c_uint16),  # number the plugin gave to VTTBR_EL2.BADDR; 0: none
        ("rule", ctypes.c_int16),  # rule that dropped or weakened it, -1: none
        ("device", ctypes.c_uint8),  # number of the device that did it plus 1, 0: none, or no name
        ("reserved", ctypes.c_uint8),
        ("stack", ctypes.c_uint32),  # as in Access; of maintenance
    )


class Access(_Record):
    """The access that a finding is about."""

    _fields_ = (
        ("pc", ctypes.c_uint64),
        ("pc_pa", ctypes.c_uint64),
        ("pc_ipa", ctypes.c_uint64),
        ("va", ctypes.c_uint64),
        ("ipa", ctypes.c_uint64),  # NO_ADDRESS when stage 2 is off
        ("pa", ctypes.c_uint64),
        ("insn", ctypes.c_uint32),
        ("why", ctypes.c_uint16),  # Why
        ("vm_id", ctypes.c_uint16),
        ("op", ctypes.c_uint8),
        ("kind", ctypes.c_uint8),  # effective attributes, Kind
        ("size", ctypes.c_uint8),  # bytes
        ("pe", ctypes.c_uint8),
        ("el", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("s1_mair", ctypes.c_uint8),  # MAIR byte of the stage 1 page, 0 if stage 1 is off
        ("s2_attr", ctypes.c_uint8),  # stage 2 MemAttr[3:0], 0xff if stage 2 is off
        ("stack", ctypes.c_uint32),  # number of its innermost Frame, from 1; 0: not taken
        # A device's read: its number plus 1, as in Event; `pc` then is what handed the buffer over.
        ("device", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 3),
    )


class Frame(_Record):
    """One frame of a call stack. Numbers count the slots from 1; callers come before what they call."""

    _fields_ = (
        ("pc", ctypes.c_uint64),  # of all but the innermost frame the return address
        ("pc_pa", ctypes.c_uint64),
        ("pc_ipa", ctypes.c_uint64),  # NO_ADDRESS outside a VM
        ("caller", ctypes.c_uint32),  # number of the frame that it returns to, 0: none or not known
        ("el", ctypes.c_uint8),
        ("link", ctypes.c_uint8),  # 1: from the link register, perhaps of the past (plugin/unwind.h)
        ("reserved", ctypes.c_uint16),
    )


class Finding(_Record):
    """One deduplicated finding."""

    _fields_ = (
        ("count", ctypes.c_uint64),  # written last when the slot is filled; 0: empty
        ("instructions", ctypes.c_uint64),  # instructions executed by all PEs when first seen
        ("access", Access),
        ("writer", Event),  # the write that holds the latest data; seq 0: unknown (initial image)
        ("kind", ctypes.c_uint8),  # FindingKind
        ("cell", ctypes.c_uint8),  # index of the first stale cell in its line, 0..7
        ("n_history", ctypes.c_uint8),
        ("truncated", ctypes.c_uint8),  # 1: older events of the line were forgotten
        ("line_size", ctypes.c_uint16),
        ("states", ctypes.c_uint16 * CELLS_PER_LINE),  # data-side state of each cell before the read
        ("istate", ctypes.c_uint16),  # instruction-side state of the instruction, fetches only
        ("first", ctypes.c_uint64),  # of a replayed trace: `seq` of the record of the first read
        ("history", Event * HISTORY_EVENTS),  # oldest first
    )


class Device(_Record):
    """A bus master that used RAM, with how much; `lines` are counted each time they are used."""

    _fields_ = (
        ("name", ctypes.c_char * DEVICE_NAME_BYTES),
        ("lines_read", ctypes.c_uint64),
        ("lines_written", ctypes.c_uint64),
        ("coherent", ctypes.c_uint32),  # 1: it snoops
        ("reserved", ctypes.c_uint32),
    )


class RunHeader(_Record):
    """Counters and the state of the run. Counters of a PE are written by that PE only."""

    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("header_size", ctypes.c_uint32),
        ("finding_size", ctypes.c_uint32),
        ("max_findings", ctypes.c_uint32),
        ("n_findings", ctypes.c_uint32),
        ("max_frames", ctypes.c_uint32),
        ("n_frames", ctypes.c_uint32),
        ("n_pes", ctypes.c_uint32),
        ("started", ctypes.c_uint32),  # plugin installed and ready
        ("finished", ctypes.c_uint32),  # QEMU's exit was seen
        ("lost_findings", ctypes.c_uint64),  # sites that found no free slot
        ("pending_overflows", ctypes.c_uint64),  # more PEs pending on one line than the table has
        ("midr", ctypes.c_uint64),
        ("ctr", ctypes.c_uint64),
        ("clidr", ctypes.c_uint64),
        ("ram_base", ctypes.c_uint64),
        ("ram_size", ctypes.c_uint64),
        ("instructions", ctypes.c_uint64 * MAX_PES),
        ("accesses", ctypes.c_uint64 * MAX_PES),
        ("fetches", ctypes.c_uint64 * MAX_PES),
        ("walks", ctypes.c_uint64 * MAX_PES),
        ("maintenance", ctypes.c_uint64 * MAX_OPS),  # per Op, executed (not trapped, not faulted)
        ("redundant", ctypes.c_uint64 * MAX_OPS),  # of these, left every cell's state as it was
        ("matched", ctypes.c_uint64 * MAX_RULES),  # per --drop/--weaken rule
        ("devices", Device * MAX_DEVICES),
        ("n_devices", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("error", ctypes.c_char * 256),  # why the plugin gave up, NUL-terminated
    )


STRUCTURES: tuple[type[_Record], ...] = (Event, Access, Frame, Finding, Device, RunHeader)
_NAMES = {structure: f"pw_{structure.__name__.lower()}" for structure in STRUCTURES}
_NAMES[Frame] = "pw_kept_frame"  # beside the plugin's own, which are many more


def c_declarations() -> str:
    """Return the C declarations of every record and enum here, with size assertions."""
    lines: list[str] = []
    for name, value in (
        ("NO_ADDRESS", f"UINT64_C({NO_ADDRESS:#x})"),
        ("RUN_VERSION", VERSION),
        ("MAX_PES", MAX_PES),
        ("MAX_RULES", MAX_RULES),
        ("MAX_OPS", MAX_OPS),
        ("MAX_DEVICES", MAX_DEVICES),
        ("HISTORY_EVENTS", HISTORY_EVENTS),
        ("CELLS_PER_LINE", CELLS_PER_LINE),
    ):
        lines.append(f"#define PW_{name} {value}")
    for prefix, members in (("FINDING", FindingKind), ("FLAG", Flag), ("WHY", Why)):
        lines += cdecl.enumeration(f"PW_{prefix}", members)
    for structure, name in _NAMES.items():
        lines += cdecl.structure(name, structure, _NAMES)
    return "\n".join(lines) + "\n"
