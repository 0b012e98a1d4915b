"""Damage done to good input: bytes, numbers, lengths, lines and words, each drawn from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Damage = Callable[[random.Random, bytes], bytes]

_NUMBERS = (b"0", b"-1", b"1e999", b"nan", b"true", b"0x", b"9" * 30, b"1_000", b"''", b"[]", b"{}")
_ODD_BYTES = (b"\0", b"\xff", b"\xc3\x28", b"\r", b"\n", b"\"", b"'", b"=", b"[", b"\xe2\x80\xa8")


def _place(draw: random.Random, data: bytes) -> int:
    return draw.randrange(len(data) + 1)


def _flip(draw: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if out:
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
    return bytes(out)


def _cut(draw: random.Random, data: bytes) -> bytes:
    return data[: _place(draw, data)]


def _remove(draw: random.Random, data: bytes) -> bytes:
    at = _place(draw, data)
    return data[:at] + data[at + draw.choice((1, 2, 4, 8, 64)) :]


def _repeat(draw: random.Random, data: bytes) -> bytes:
    at = _place(draw, data)
    piece = data[at : at + draw.choice((1, 4, 16, 256))]
    return data[:at] + piece * draw.choice((2, 3, 50)) + data[at:]


def _insert(draw: random.Random, data: bytes) -> bytes:
    at = _place(draw, data)
    new = draw.choice((*_ODD_BYTES, draw.randbytes(draw.choice((1, 4, 8)))))
    return data[:at] + new + data[at:]


def _length(draw: random.Random, data: bytes) -> bytes:
    """Put an extreme little-endian number where an aligned field may be."""
    size = draw.choice((1, 2, 4, 8))
    at = _place(draw, data) // size * size
    value = draw.choice((0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1))
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def _number(draw: random.Random, data: bytes) -> bytes:
    """Replace a number, or a word, of a text."""
    found = list(re.finditer(rb"\w+", data[: 1 << 16]))
    if not found:
        return data
    one, other = draw.choice(found), draw.choice(found)
    new = draw.choice((*_NUMBERS, other.group()))
    return data[: one.start()] + new + data[one.end() :]


def _lines(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = draw.choice(((lines[other], lines[one]), (lines[other], b"")))
    return b"\n".join(lines)


_ALL: Sequence[Damage] = (_flip, _cut, _remove, _repeat, _insert, _length, _number, _lines)


def damaged(seed: str, good: Sequence[bytes]) -> bytes:
    """Return one of the good inputs, damaged one to four times; the same for the same seed."""
    draw = random.Random(seed)
    data = draw.choice(good)
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(_ALL)(draw, data)
    return data
