"""The archive writer: hand-made bytes, and the cpio program where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pocwatch.demo import cpio


def header(*numbers: int) -> bytes:
    return b"070701" + "".join(f"{number:08X}" for number in numbers).encode()


def test_an_archive_byte_for_byte() -> None:
    assert cpio.archive([cpio.regular("ab", b"hello")]) == b"".join(
        [
            # inode, mode, uid, gid, links, mtime, size, device, rdevice, name size, checksum
            header(1, 0o100644, 0, 0, 1, 0, 5, 0, 0, 0, 0, 3, 0),
            b"ab\0" + bytes(3),
            b"hello" + bytes(3),
            header(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0),
            b"TRAILER!!!\0" + bytes(3),
        ]
    )


def test_a_device_node_carries_its_numbers() -> None:
    data = cpio.archive([cpio.character_device("dev/console", 5, 1)])
    assert data.startswith(header(1, 0o020600, 0, 0, 1, 0, 0, 0, 0, 5, 1, 12, 0))


def test_members_begin_at_multiples_of_four() -> None:
    entries = [cpio.regular("n" * length, b"d" * length) for length in range(1, 9)]
    data = cpio.archive(entries)
    starts = [at for at in range(len(data)) if data.startswith(b"070701", at)]
    assert len(starts) == len(entries) + 1
    assert all(at % 4 == 0 for at in starts)
    assert len(data) % 4 == 0


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_reads_it(tmp_path: Path) -> None:
    data = cpio.archive([cpio.directory("d"), cpio.program("d/p", b"#!\n"), cpio.regular("f", b"")])
    subprocess.run(["cpio", "-id", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "d/p").read_bytes() == b"#!\n"
    assert (tmp_path / "d/p").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "f").read_bytes() == b""
