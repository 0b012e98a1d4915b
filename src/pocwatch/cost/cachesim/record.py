"""The access stream: a header, then one 8-byte record per access, walk, maintenance operation or DSB.

Written by the QEMU plugin (`stream=FILE`), read by `stream`; the C declarations are generated from the
structures here (`c_declarations`). Little-endian. What `pa` and `size` are depends on `op`:

- `ld`, `st`, `tw` (one descriptor), `if` (consecutive instructions of one 64-byte line): the bytes
  accessed; they lie in one 4 KiB page. `dc zva` is one record per 64 bytes of its block.
- operations by VA: the PA of the VA; `size` is 0. What a `DC IVAC` or `DC ISW` was upgraded to
  (facts C7) stands instead of it, and `ic iallu` that acts on all PEs is `ic ialluis`.
- `dc csw`, `cisw`, `isw`: `pa` is the operand: level, set and way (Arm ARM DDI 0487, "DC ISW").
- `ic iallu`, `ic ialluis`, `dsb`: nothing.

Records of one PE are in program order. PEs take turns in blocks of up to `BLOCK_RECORDS`, so the order
between PEs is only as exact as that. Left out: DMA; PAs of more than 44 bits; speculation and
prefetching, which QEMU has none of.
"""

from __future__ import annotations

import ctypes

from pocwatch import cdecl

MAGIC = b"PWACCESS"
VERSION = 1
BLOCK_RECORDS = 512


class _Record(ctypes.LittleEndianStructure):
    _pack_ = 1


class Access(_Record):
    """One access. `op` and `kind` are `arch.ops.Op` and `Kind`, `kind` after combining stages."""

    _fields_ = (
        ("pa", ctypes.c_uint64, 44),
        ("size", ctypes.c_uint64, 7),  # bytes
        ("pe", ctypes.c_uint64, 6),
        ("op", ctypes.c_uint64, 5),
        ("kind", ctypes.c_uint64, 2),
    )


class Header(_Record):
    """What a stream starts with."""

    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("record_size", ctypes.c_uint32),  # bytes
        ("n_pes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


def header(pes: int) -> Header:
    """Return the header of a stream of this version."""
    return Header(magic=MAGIC, version=VERSION, record_size=ctypes.sizeof(Access), n_pes=pes)


def c_declarations() -> str:
    """Return the C declarations of the records, with size assertions."""
    lines = [
        f'#define PW_STREAM_MAGIC "{MAGIC.decode()}"',
        f"#define PW_STREAM_VERSION {VERSION}",
        f"#define PW_STREAM_BLOCK {BLOCK_RECORDS}",
        *cdecl.structure("pw_stream_access", Access),
        *cdecl.structure("pw_stream_header", Header),
    ]
    return "\n".join(lines) + "\n"
