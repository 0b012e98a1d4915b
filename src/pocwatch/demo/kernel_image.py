"""The arm64 kernel `Image` inside what distributions ship as `vmlinuz`.

That is the Image itself, the Image in gzip, or an EFI zboot application around a compressed Image
(Linux drivers/firmware/efi/libstub/zboot-header.S). Left out: zboot with lz4, lzo or zstd, for
which the standard library has no decoder.
"""

from __future__ import annotations

import lzma
import struct
import zlib

from pocwatch.demo.errors import DemoError

_GZIP = b"\x1f\x8b"
_IMAGE_MAGIC, _IMAGE_MAGIC_AT = b"ARM\x64", 56


def _gunzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data)  # ignores what comes after the stream


def _unxz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)


_ZBOOT_DECODERS = {"gzip": _gunzip, "xzkern": _unxz, "xz": _unxz, "lzma": _unxz}


def _unpack_zboot(data: bytes) -> bytes:
    offset, size = struct.unpack_from("<II", data, 8)
    kind = data[24:56].split(b"\0", 1)[0].decode("ascii", "replace")
    decode = _ZBOOT_DECODERS.get(kind)
    if decode is None:
        known = ", ".join(sorted(_ZBOOT_DECODERS))
        raise DemoError(f"the kernel is compressed with '{kind}'; pocwatch can unpack {known}")
    return decode(data[offset : offset + size])


def unpack(data: bytes) -> bytes:
    """Return the kernel Image. Raises DemoError for anything else than an arm64 kernel."""
    try:
        if data[:2] == b"MZ" and data[4:8] == b"zimg":
            image = _unpack_zboot(data)
        elif data[:2] == _GZIP:
            image = _gunzip(data)
        else:
            image = data
    except (zlib.error, lzma.LZMAError, struct.error) as error:
        raise DemoError(f"the kernel file (gzip or EFI zboot) is damaged: {error}") from None
    if image[_IMAGE_MAGIC_AT : _IMAGE_MAGIC_AT + 4] != _IMAGE_MAGIC:
        raise DemoError(
            "the kernel file is not an arm64 Image, plain, in gzip or in an EFI zboot application: "
            f"it begins with '{image[:8].hex()}'"
        )
    return image
