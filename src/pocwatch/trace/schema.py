"""The columns of a trace: one definition for the writer, the reader and the documentation.

A trace is one Parquet file, one row for each thing that happened (`raw.Traced`), with everything in the
row that a question needs: no joins. What the plugin's numbers stand for is spelled as `pocwatch line`
spells it; the way back is exact (`decode`).

Adding a column is a new minor version, which older readers pass over; everything else is a new major
version, which they refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERSION = (1, 0)
KEY = "pocwatch"
"""The key of the footer's metadata that holds `info.Info` as JSON."""
LINE_BYTES = 64
SHARDS = 16
GENERATION_ROWS = 1 << 19


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type (of Arrow; `text` is a string from a dictionary), whether it can be null.

    `packed`: differences to the row before, which are small, are stored (DELTA_BINARY_PACKED); `plain`:
    the values as they are, which differ. Otherwise each different value is stored once.
    """

    name: str
    type: str
    doc: str
    null: bool = False
    packed: bool = False
    plain: bool = False


def _c(name: str, kind: str, doc: str, **how: bool) -> Column:
    return Column(name, kind, " ".join(doc.split()), **how)


COLUMNS: tuple[Column, ...] = (
    _c("seq", "uint64", "When, among all rows: counts the operations that were recorded, from 1. "
       "Rows of one operation share it.", packed=True),
    _c("instructions", "uint64", "Instructions that all PEs had executed by then; of a row that "
       "others refer to, by the next of the others.", packed=True),
    _c("op", "text", "What happened, as `pocwatch line` spells it: `st`, `ld`, `if`, `tw`, "
       "`dc civac`, `ic ivau`, `dsb`, `mmu on`, ...; or a row that the others refer to: `content`, "
       "`writer`, `frame`, `end` (below)."),
    _c("agent", "text", "Who: `P0`... a PE, `D0`... a device."),
    _c("kind", "text", "Memory attributes that took effect: `wb`, `wt`, `nc`, `dev`."),
    _c("line", "uint64", "PA of the line (64 bytes); null for what is of no line: barriers, the MMU, "
       "operations by set/way and of whole instruction caches.", null=True, packed=True),
    _c("pa", "uint64", "PA of the first byte that was touched.", null=True, packed=True),
    _c("va", "uint64", "Its VA. Of an operation by set/way: the operand.", null=True, packed=True),
    _c("ipa", "uint64", "Its IPA; null when stage 2 is off.", null=True, packed=True),
    _c("size", "uint16", "Bytes touched; of a fetch, 4 for each instruction."),
    _c("el", "uint8", "Exception level."),
    _c("vm_id", "uint16", "Number of the VM, in the order in which they were seen; 0: none. "
       "(What VTTBR_EL2.BADDR says, also at EL2.)"),
    _c("vm", "bool", "Executed by a guest: EL1 or EL0 with HCR_EL2.VM or DC in force."),
    _c("mmu", "bool", "Stage 1 was on for the access."),
    _c("dropped", "bool", "Maintenance that `--drop` took away while it was recorded."),
    _c("weakened", "bool", "Maintenance that `--weaken` replaced; `op` is what it became."),
    _c("upgraded", "bool", "`dc ivac` or `dc isw` that the hypervisor's HCR_EL2 made clean, too."),
    _c("completed", "bool", "Maintenance that is known to be complete; recordings do not say it."),
    _c("all_pes", "bool", "Instruction cache maintenance of all PEs."),
    _c("link", "bool", "Of a `frame`: from the link register, and perhaps of the past."),
    _c("why", "text", "What decided the attributes: names of `Why`, joined by `|`, as `S1_OFF|S2_ON`."),
    _c("s1_mair", "uint8", "MAIR byte of the stage 1 page; 0 if stage 1 is off."),
    _c("s2_attr", "uint8", "Stage 2 MemAttr[3:0]; null if stage 2 is off.", null=True),
    _c("pc", "uint64", "PC of the instruction; null where there is none.", null=True),
    _c("pc_pa", "uint64", "PA of the instruction.", null=True),
    _c("fetch_ipa", "uint64", "IPA of the page being executed; null outside a VM.", null=True,
       packed=True),
    _c("insn", "uint32", "The instruction's encoding.", null=True),
    _c("symbol", "text", "The function and offset of the instruction, `name+0x10`; of a fetch, of its "
       "first instruction.", null=True),
    _c("stack", "text", "The functions that led here, outermost first, joined by `;`; null where no "
       "stack was taken.", null=True),
    _c("stack_id", "uint32", "Number of that stack's innermost frame; of a `frame`, its own.",
       null=True),
    _c("site", "uint32", "Number of the instruction; null where there is none.", null=True),
    _c("writer", "uint32", "Of a `writer`, who wrote, as the plugin packs it; of a `frame`, the number "
       "of its caller's.", null=True),
    _c("value", "binary", "Of a `content`, the 64 bytes of the line.", null=True, plain=True),
)  # fmt: skip
NAMES = tuple(column.name for column in COLUMNS)

MARKS = {65: "frame", 66: "content", 67: "writer", 68: "end"}
"""`op` of rows that others refer to, by `raw.Mark`. `SITE` became columns."""


def shard_of(pa: Any) -> Any:
    """Return the shard of an address, or of an array of them: lines of a page stay together."""
    return (pa >> 12) % SHARDS


def arrow() -> Any:
    """Return the schema for pyarrow."""
    import pyarrow as pa

    types = {"text": pa.dictionary(pa.int32(), pa.string()), "bool": pa.bool_()}
    return pa.schema(
        [
            pa.field(c.name, types.get(c.type) or getattr(pa, c.type)(), nullable=c.null)
            for c in COLUMNS
        ]
    )


def encodings() -> dict[str, Any]:
    """Return how the columns are stored, as options of pyarrow's writer."""
    packed = [c.name for c in COLUMNS if c.packed]
    return {
        "compression": "zstd",
        "compression_level": {c.name: 3 if c.plain else 1 for c in COLUMNS},
        "use_dictionary": [
            c.name for c in COLUMNS if not (c.packed or c.plain or c.type == "bool")
        ],
        "column_encoding": dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        "write_page_checksum": True,
        "write_statistics": ["seq", "line", "pa", "pc"],  # what a search can skip by
        "store_schema": False,
        "data_page_size": 1 << 26,  # one page a column chunk
    }


def as_markdown() -> str:
    """Return the table of columns for the documentation."""
    rows = [f"| `{c.name}` | {c.type}{', null' if c.null else ''} | {c.doc} |" for c in COLUMNS]
    return "\n".join(["| column | type | what it is |", "| --- | --- | --- |", *rows]) + "\n"
