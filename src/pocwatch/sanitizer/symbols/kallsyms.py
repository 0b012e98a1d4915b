"""The symbol table that a Linux kernel image carries of itself (CONFIG_KALLSYMS).

Nothing points at it, so it is found by its shape: 256 token strings of which '0'..'9' stand for
themselves, followed by their 256 offsets; before them the compressed names with one marker per 256
names; and a sorted array of address offsets, before the names up to v6.4, after the tokens since.
Layout: Linux scripts/kallsyms.c. The idea of the digit signature is vmlinux-to-elf's.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pocwatch.sanitizer.symbols.image import header
from pocwatch.sanitizer.symbols.table import Symbol, SymbolError, SymbolTable

_DIGITS = b"".join(bytes([digit, 0]) for digit in b"0123456789")
_MIN_SYMBOLS, _MAX_SYMBOLS = 500, 1 << 22
_MARKER_STEP = 256
_CODE = frozenset("tTwW")
_KIMAGE_ALIGN = 1 << 21  # of KIMAGE_VADDR: booting.rst, "2MB aligned base"
_R_AARCH64_RELATIVE = struct.pack("<Q", 0x403)


def _align(position: int) -> int:
    return (position + 7) & ~7


@dataclass(frozen=True, slots=True)
class _Tokens:
    start: int  # of kallsyms_token_table in the image
    end: int  # of kallsyms_token_index
    strings: list[str]


def _find_tokens(image: bytes) -> Iterator[_Tokens]:
    at = image.find(_DIGITS)
    while at >= 0:
        end = at
        for _ in range(0x30, 0x100):
            end = image.find(b"\0", end) + 1
            if end == 0:
                return
        index_at = _align(end)
        if index_at + 512 > len(image):
            return
        index = struct.unpack_from("<256H", image, index_at)
        start = at - index[0x30]
        if start >= 0 and index[0] == 0 and all(a < b for a, b in itertools.pairwise(index)):
            ends = [image.find(b"\0", start + offset) for offset in index]
            strings = [
                image[start + offset : end_of].decode("latin-1")
                for offset, end_of in zip(index, ends, strict=True)
            ]
            if all(s.isprintable() for s in strings) and start + index[255] < end:
                yield _Tokens(start, index_at + 512, strings)
        at = image.find(_DIGITS, at + 1)


def _name_positions(image: bytes, start: int, count: int, end: int) -> list[int] | None:
    """Return where each of `count` compressed names starts, plus the end; None if it runs over."""
    positions: list[int] = []
    at = start
    for _ in range(count):
        positions.append(at)
        length = image[at]
        if length & 0x80:  # two bytes since v6.1, "kallsyms: support "big" kernel symbols"
            length = (length & 0x7F) | (image[at + 1] << 7)
            at += 1
        at += length + 1
        if length == 0 or at > end:
            return None
    positions.append(at)
    return positions


def _find_names(image: bytes, tokens: _Tokens) -> tuple[int, list[int]] | None:
    """Return the place of kallsyms_num_syms and of every name, searching back from the tokens."""
    words = memoryview(image)[: tokens.start & ~7].cast("Q")
    for slot in range(len(words) - 2, -1, -1):
        count = words[slot]
        if not _MIN_SYMBOLS <= count <= _MAX_SYMBOLS:
            continue
        at = slot * 8
        marker_count = (count + _MARKER_STEP - 1) // _MARKER_STEP
        if at + 8 + 2 * count + 4 * marker_count > tokens.start:
            continue
        early = _name_positions(image, at + 8, min(count, 2 * _MARKER_STEP), tokens.start)
        if early is None:
            continue
        positions = _name_positions(image, at + 8, count, tokens.start)
        if positions is None:
            continue
        markers = struct.unpack_from(f"<{marker_count}I", image, _align(positions[-1]))
        if all(
            positions[i * _MARKER_STEP] - (at + 8) == marker for i, marker in enumerate(markers)
        ):
            return at, positions
    return None


def _find_offsets(
    image: bytes, count: int, num_syms_at: int, tokens: _Tokens
) -> tuple[tuple[int, ...], int] | None:
    """Return the offset of every symbol and the place of kallsyms_relative_base."""
    before = num_syms_at - 8 - _align(4 * count)
    for at, base_at in ((tokens.end, _align(tokens.end + 4 * count)), (before, num_syms_at - 8)):
        if at < 0 or base_at + 8 > len(image):
            continue
        offsets = struct.unpack_from(f"<{count}I", image, at)
        rising = all(a <= b for a, b in itertools.pairwise(offsets))
        if rising and offsets[-1] > offsets[0]:
            return offsets, base_at
    return None


def _link_addresses(image: bytes, base_at: int) -> Iterator[tuple[int, int]]:
    """Propose kallsyms_relative_base and the link address of the image's first byte.

    The former is stored in place (RELR), or is the addend of a relocation of its place.
    """
    head = header(image)
    text_offset = head.text_offset if head else 0
    (stored,) = struct.unpack_from("<Q", image, base_at)
    if stored >> 48 == 0xFFFF:  # the lowest symbol lies in the image's first pages
        yield stored, ((stored - text_offset) & -_KIMAGE_ALIGN) + text_offset
    # Elf64_Rela: place, type, addend.
    low = struct.pack("<H", (text_offset + base_at) & 0xFFFF)
    pattern = re.escape(low) + b".{4}\xff\xff" + re.escape(_R_AARCH64_RELATIVE)
    for found in re.finditer(pattern, image, re.DOTALL):
        place, _, addend = struct.unpack_from("<QQQ", image, found.start())
        start = place - base_at
        if (start - text_offset) % _KIMAGE_ALIGN == 0 and 0 <= addend - start < len(image):
            yield addend, start


def parse(source: str, image: bytes) -> SymbolTable:
    """Read the table inside a plain arm64 Image. Raise SymbolError when none is found."""
    for tokens in _find_tokens(image):
        try:
            table = _table(source, image, tokens)
        except (IndexError, struct.error):  # these were no tokens, or the image is damaged
            continue
        if table is not None:
            return table
    raise SymbolError(
        f"{source}: no kallsyms table found in this kernel image (CONFIG_KALLSYMS=n, or a layout "
        "not known); give the text of /proc/kallsyms or a vmlinux with --symbols"
    )


def _table(source: str, image: bytes, tokens: _Tokens) -> SymbolTable | None:
    names = _find_names(image, tokens)
    if names is None:
        return None
    num_syms_at, positions = names
    found = _find_offsets(image, len(positions) - 1, num_syms_at, tokens)
    if found is None:
        return None
    offsets, base_at = found
    for relative_base, start in _link_addresses(image, base_at):
        symbols = list(_decode(image, positions, tokens.strings, offsets, relative_base))
        if _plausible(symbols, start, image):
            if not any(symbol.address == start for symbol in symbols):
                symbols.append(Symbol(start, "_text"))  # without CONFIG_KALLSYMS_ALL
            return SymbolTable.of(source, symbols, start, image)
    return None


def _plausible(symbols: list[Symbol], start: int, image: bytes) -> bool:
    """Check addresses against what the image itself and the architecture say."""
    known = {symbol.name: symbol.address for symbol in symbols}
    if "_stext" not in known or known["_stext"] % 4096 or known.get("_text", start) != start:
        return False
    # Arm ARM DDI 0487, VBAR_EL1: exception vectors are 2 KiB aligned.
    if known.get("vectors", 0) % 2048:
        return False
    # The header's second word branches to the kernel's entry point.
    (branch,) = struct.unpack_from("<I", image, 4)
    if branch >> 26 == 0b000101 and "primary_entry" in known:
        return bool(known["primary_entry"] == start + 4 + ((branch & 0x3FF_FFFF) << 2))
    return True


def _decode(
    image: bytes, positions: list[int], tokens: list[str], offsets: tuple[int, ...], base: int
) -> Iterator[Symbol]:
    for start, end, offset in zip(positions, positions[1:], offsets, strict=False):
        skip = 2 if image[start] & 0x80 else 1
        text = "".join([tokens[code] for code in image[start + skip : end]])
        yield Symbol(base + offset, text[1:], text[0] in _CODE)
