"""The raw trace: what the QEMU plugin writes (`trace=FILE`, which may be a FIFO) while it records.

One `Header`, then records of one size, `Traced`, in the order in which they happened. Whoever reads it
makes the trace that people keep (`trace.schema`); replaying feeds the same records to the plugin's judge.
Little-endian. A field that a record does not name is 0, or `NO_ADDRESS` for `pa`, `va` and `ipa`.
The C declarations are generated from the structures here (`c_declarations`).
"""

from __future__ import annotations

import ctypes
import enum

from pocwatch import cdecl
from pocwatch.trace.records import NO_ADDRESS as NO_ADDRESS

MAGIC = b"PWTRACE"
VERSION = 1


class Mark(enum.IntEnum):
    """Values of `op` that are no operation of a machine (`arch.ops.Op`): what the others refer to."""

    SITE = 64
    """An instruction, before its first use. `site`: its number, from 1; numbers that never come are of
    instructions that the trace does not need. `va`: its PC, `pa`: the PA of that, `ipa`: its encoding;
    `el`."""
    STACK = 65
    """A frame of a call stack, before its first use. `stack`: its number, from 1, without gaps;
    `writer`: the number of the caller's frame, 0 for none; `va`: the return address, or the PC of the
    innermost frame, `pa` and `ipa`: the PA and IPA of that; `el`, `vm_id`; `flags`: 1 if it is from
    the link register (`plugin/stacks.h`)."""
    CONTENT = 66
    """What the line of RAM at `pa` is from here on: its 64 bytes, from `CONTENT_AT` on in the record (see
    `content`); zero before the first. Only where instructions may be compared, and of lines that were
    written. `seq` 0: what was there before the first instruction executed, also if the record comes late;
    otherwise the `seq` of the record it precedes."""
    WRITER = 67
    """Who wrote the 8 bytes at `pa` last, `writer` (`plugin/history.h`: pw_who), where that is not known
    from the stores in the trace. Comes before a read that may be stale; `seq` is that read's."""
    END = 68
    """The machine ended in order. Without it, a trace is cut short."""


ALL_PES = 1 << 6
"""In `flags` of instruction cache maintenance, besides `records.Flag`: for all PEs."""


class _Record(ctypes.LittleEndianStructure):
    _pack_ = 1


class Header(_Record):
    """What a raw trace starts with."""

    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("record_size", ctypes.c_uint32),  # bytes
        ("n_pes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("midr", ctypes.c_uint64),
        ("ctr", ctypes.c_uint64),  # CTR_EL0
        ("clidr", ctypes.c_uint64),  # CLIDR_EL1
        ("ram_base", ctypes.c_uint64),
        ("ram_size", ctypes.c_uint64),
    )


class Traced(_Record):
    """One thing that happened.

    Of a line: loads, stores, walks, fetches, DC, IC by VA, DMA. Of none (`pa` is `NO_ADDRESS`): barriers,
    operations by set/way (`va` their operand) and of whole I-caches, the fill switch (`mmu on`,
    `mmu off`: whether the PE's MMU and caches are on).
    """

    _fields_ = (
        ("seq", ctypes.c_uint64),  # from 1, one more for each record of an operation
        ("pa", ctypes.c_uint64),
        ("op", ctypes.c_uint8),  # arch.ops.Op, or Mark
        ("kind", ctypes.c_uint8),  # arch.ops.Kind, effective; of DMA WB if coherent, else NC
        ("pe", ctypes.c_uint8),
        ("el", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),  # records.Flag, ALL_PES
        ("s1_mair", ctypes.c_uint8),  # MAIR byte of the stage 1 page, 0 if stage 1 is off
        ("s2_attr", ctypes.c_uint8),  # stage 2 MemAttr[3:0], 0xff if stage 2 is off
        ("reserved", ctypes.c_uint8),
        # From here on a CONTENT has the line's bytes instead.
        ("instructions", ctypes.c_uint64),  # executed by all PEs until then
        ("va", ctypes.c_uint64),
        ("ipa", ctypes.c_uint64),  # NO_ADDRESS when stage 2 is off
        ("fetch_ipa", ctypes.c_uint64),  # of the page being executed; NO_ADDRESS outside a VM
        ("size", ctypes.c_uint16),  # bytes; of a fetch, 4 per instruction
        ("why", ctypes.c_uint16),  # records.Why
        ("vm_id", ctypes.c_uint16),  # number the plugin gave to VTTBR_EL2.BADDR; 0: none
        ("reserved_2", ctypes.c_uint16),
        ("site", ctypes.c_uint32),  # 0: none
        ("stack", ctypes.c_uint32),  # 0: not taken
        ("writer", ctypes.c_uint32),
        ("reserved_3", ctypes.c_uint8 * 12),
    )


CONTENT_AT = Traced.instructions.offset
"""Where in a CONTENT the bytes of the line begin; they go on to the record's end."""
LINE_BYTES = ctypes.sizeof(Traced) - CONTENT_AT


def content(seq: int, pa: int, line: bytes) -> Traced:
    """Return a CONTENT: the bytes of the line at `pa`."""
    record = Traced(op=Mark.CONTENT, seq=seq, pa=pa)
    ctypes.memmove(ctypes.addressof(record) + CONTENT_AT, line, LINE_BYTES)
    return record


def content_of(record: Traced) -> bytes:
    """Return the line that a CONTENT tells."""
    return bytes(record)[CONTENT_AT:]


def header(pes: int, **values: int) -> Header:
    """Return the header of a raw trace of this version."""
    size = ctypes.sizeof(Traced)
    return Header(magic=MAGIC, version=VERSION, record_size=size, n_pes=pes, **values)


def c_declarations() -> str:
    """Return the C declarations of the records and enums, with size assertions."""
    lines = [
        f'#define PW_TRACE_MAGIC "{MAGIC.decode()}"',
        f"#define PW_TRACE_VERSION {VERSION}",
        f"#define PW_TRACE_ALL_PES {ALL_PES}",
        f"#define PW_TRACE_CONTENT_AT {CONTENT_AT}",
        *cdecl.enumeration("PW_MARK", Mark),
        *cdecl.structure("pw_trace_header", Header),
        *cdecl.structure("pw_traced", Traced),
    ]
    return "\n".join(lines) + "\n"
