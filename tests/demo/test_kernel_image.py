"""Every wrapping of a kernel gives the same Image; anything else is refused in one line."""

from __future__ import annotations

import gzip
import lzma
import struct

import pytest

from pocwatch.demo.errors import DemoError
from pocwatch.demo.kernel_image import unpack

IMAGE = b"MZ" + bytes(54) + b"ARM\x64" + bytes(range(256)) * 8


def zboot(kind: bytes, payload: bytes) -> bytes:
    """Return an EFI zboot application; the payload is followed by other sections."""
    offset = 4096
    head = b"MZ\0\0zimg" + struct.pack("<II", offset, len(payload)) + bytes(8) + kind
    return head.ljust(offset, b"\0") + payload + b"sections"


@pytest.mark.parametrize(
    "wrapped",
    [
        IMAGE,
        gzip.compress(IMAGE),
        gzip.compress(IMAGE) + b"appended",
        zboot(b"gzip", gzip.compress(IMAGE)),
        zboot(b"gzip", gzip.compress(IMAGE)[:-4]),  # the size at the end is kept elsewhere
        zboot(b"xzkern", lzma.compress(IMAGE)),
        zboot(b"lzma", lzma.compress(IMAGE, lzma.FORMAT_ALONE)),
    ],
    ids=["plain", "gzip", "gzip+", "zboot-gzip", "zboot-gzip-cut", "zboot-xz", "zboot-lzma"],
)
def test_the_image_is_found(wrapped: bytes) -> None:
    assert unpack(wrapped) == IMAGE


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "begins with"),
        (b"\x7fELF" + bytes(100), "7f454c46"),
        (gzip.compress(b"not a kernel" * 20), "6e6f7420"),
        (b"\x1f\x8bnot gzip", "gzip"),
        (zboot(b"gzip", b"not gzip"), "gzip"),
        (zboot(b"zstd22", b""), "zstd22"),
        (b"MZ\0\0zimg", "damaged"),
    ],
    ids=["empty", "elf", "no-kernel", "bad-gzip", "bad-zboot", "unknown", "cut"],
)
def test_anything_else_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(DemoError, match=named) as caught:
        unpack(data)
    assert "\n" not in str(caught.value)
