"""Standard input as a file that grows."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pocwatch.user import stdin

SECONDS = 10.0


def wait_for(folder: Path, data: bytes, ended: bool) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if (folder / "stdin").read_bytes() == data and (folder / "stdin.end").exists() == ended:
            return
        time.sleep(0.005)
    raise AssertionError((folder / "stdin").read_bytes())


def test_what_comes_is_there_before_the_end(tmp_path: Path) -> None:
    read, write = os.pipe()
    stdin.spool(tmp_path, read)
    os.write(write, b"one\0")
    wait_for(tmp_path, b"one\0", ended=False)
    os.write(write, b"two\xff")
    os.close(write)
    wait_for(tmp_path, b"one\0two\xff", ended=True)
    os.close(read)


def test_a_closed_descriptor_is_an_end(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    stdin.spool(tmp_path, read)
    wait_for(tmp_path, b"", ended=True)
