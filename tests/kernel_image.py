"""Synthetic arm64 kernel images with a kallsyms table, written from Linux scripts/kallsyms.c.

An independent encoder: `--layout` differences of the versions are spelled out here, so that the
reader under test is held to the format and not to itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

LINK = 0xFFFF_8000_0800_0000
COMPOUND = {0x01: "dcache_", 0x02: "Tsym", 0x80: "_poc"}
NAMES_AT = 0x4000


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _tokens() -> tuple[bytes, bytes]:
    table, index = b"", []
    for code in range(256):
        index.append(len(table))
        text = COMPOUND.get(code, chr(code) if 0x20 <= code < 0x7F else "")
        table += text.encode() + b"\0"
    return table, struct.pack("<256H", *index)


def _compressed(text: str) -> bytes:
    data = text.encode()
    for code, token in COMPOUND.items():
        data = data.replace(token.encode(), bytes([code]))
    if len(data) < 0x80:
        return bytes([len(data)]) + data
    return bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) + data


def build(
    symbols: Sequence[tuple[int, str, str]],
    *,
    new_layout: bool,
    relocated: bool,
    seqs: bool = False,
    text_offset: int = 0,
    entry: int = 0x1000,
) -> bytes:
    """Return an Image whose table has these (image offset, type, name), by address.

    `new_layout`: offsets after the tokens (since v6.5). `relocated`: the base is a relocation's
    addend and 0 in place. `seqs`: sequence numbers, since v6.2. `entry`: target of word 1.
    """
    link = LINK + text_offset
    symbols = sorted(symbols)
    lowest = symbols[0][0]
    offsets = _aligned(struct.pack(f"<{len(symbols)}I", *(at - lowest for at, _, _ in symbols)))
    names, markers = b"", []
    for number, (_, kind, name) in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        names += _compressed(kind + name)
    table, index = _tokens()
    head = struct.pack("<Q", len(symbols))
    body = head + _aligned(names) + _aligned(struct.pack(f"<{len(markers)}I", *markers))
    seq = _aligned(b"".join(n.to_bytes(3, "big") for n in range(len(symbols)))) if seqs else b""
    base = struct.pack("<Q", 0 if relocated else link + lowest)
    tokens = _aligned(table) + _aligned(index)
    if new_layout:
        blob = body + tokens + offsets + base + seq
        base_at = NAMES_AT + len(body + tokens + offsets)
    else:
        blob = offsets + base + body + seq + tokens
        base_at = NAMES_AT + len(offsets)
    image = bytearray(NAMES_AT)
    branch = 0x1400_0000 | (entry - 4) >> 2
    struct.pack_into("<IIQQQ", image, 0, 0x91005A4D, branch, text_offset, 0x2A0000, 0xA)
    image[56:60] = b"ARM\x64"
    for at in range(64, NAMES_AT, 4):  # code: no two words equal
        struct.pack_into("<I", image, at, 0xD280_0000 | at)
    image += blob
    image += bytes(-len(image) % 8)
    if relocated:
        image += struct.pack("<QQQ", link + 0x100, 0x403, link + 0x2000)
        image += struct.pack("<QQQ", link + base_at, 0x403, link + lowest)
    return bytes(image)


def many(count: int = 700, text: bool = True) -> list[tuple[int, str, str]]:
    """Return enough symbols for a plausible kernel, with the ones that tests name."""
    found = [
        (0x1000, "T", "primary_entry"),
        (0x1800, "T", "vectors"),
        (0x1000, "T", "_stext"),
        (0x2000, "T", "dcache_clean_inval_poc"),
        (0x2000, "T", "__pi_dcache_clean_inval_poc"),
        (0x2040, "t", "x" * 200),
        *((0x2100 + 4 * n, "Tt"[n % 2], f"sym{n}") for n in range(count)),
        (0x3F00, "D", "data"),
    ]
    if text:
        found += [(0, "T", "_text"), (0x3FF0, "B", "_end")]
    return found
