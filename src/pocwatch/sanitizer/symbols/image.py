"""The arm64 kernel image: its header, and getting at it inside gzip or an EFI zboot file.

Header: Linux Documentation/arch/arm64/booting.rst, "Call the kernel image". The zboot header is
Linux drivers/firmware/efi/libstub/zboot-header.S (in v6.1).
"""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass

from pocwatch.sanitizer.symbols.table import SymbolError

_MAGIC_OFFSET = 56
_MAGIC = b"ARM\x64"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MIB = 1 << 20
# QEMU hw/arm/boot.c: its own boot code takes the first page, and a kernel that asks for less than
# that goes 2 MiB higher (BOOTLOADER_MAX_SIZE).
_QEMU_BOOTLOADER_SIZE = 4096
_QEMU_DEFAULT_OFFSET = 0x80000


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the first 64 bytes of an Image say. Sizes and offsets in bytes."""

    text_offset: int
    image_size: int

    def qemu_load_address(self, ram_base: int) -> int:
        """Return the PA where QEMU's direct boot (`-kernel` without firmware) puts the image."""
        if self.image_size == 0:  # before v3.17: text_offset cannot be trusted
            return ram_base + _QEMU_DEFAULT_OFFSET
        offset = self.text_offset
        if offset < _QEMU_BOOTLOADER_SIZE:
            offset += 2 * _MIB
        return ram_base + offset


def header(image: bytes) -> ImageHeader | None:
    """Return the header of a plain Image, None if it is not one."""
    if image[_MAGIC_OFFSET : _MAGIC_OFFSET + 4] != _MAGIC:
        return None
    text_offset, image_size = struct.unpack_from("<QQ", image, 8)
    return ImageHeader(text_offset, image_size)


def unpack(source: str, data: bytes) -> bytes | None:
    """Return the plain Image in `data` (plain, gzip or EFI zboot), None if there is none."""
    if data[:2] == _GZIP:
        data = _gunzip(source, data)
    elif data[:2] == b"MZ" and data[4:8] == b"zimg":
        offset, size = struct.unpack_from("<II", data, 8)
        method = data[24:56].split(b"\0")[0].decode("ascii", "replace")
        payload = data[offset : offset + size]
        if method.startswith("gzip"):
            data = _gunzip(source, payload)
        elif method.startswith("zstd"):
            data = _unzstd(source, payload)
        else:
            raise SymbolError(
                f"{source}: EFI zboot image compressed with {method!r}; "
                "gzip and zstd are understood: unpack it and give the Image"
            )
    return data if header(data) else None


def _gunzip(source: str, data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data)  # tolerates what follows the stream
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SymbolError(f"{source}: damaged gzip data ({error})") from None


def _unzstd(source: str, data: bytes) -> bytes:
    program = shutil.which("zstd")
    if program is None:
        raise SymbolError(
            f"{source}: zstd-compressed; install `zstd`, or unpack it and give the Image"
        )
    done = subprocess.run([program, "-dc"], input=data, capture_output=True, check=False)
    # zboot appends the uncompressed size, which zstd reports as trailing garbage after good output
    if not header(done.stdout):
        raise SymbolError(f"{source}: damaged zstd data")
    return done.stdout
