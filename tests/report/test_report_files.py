"""Files of a report: written whole or not at all, refused before the run where they cannot be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pocwatch.report import files
from pocwatch.sanitizer.errors import MachineError, UsageError


def test_write_replaces_at_once(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    files.write("--json", target, "new\n")
    assert target.read_text() == "new\n"
    assert [f.name for f in tmp_path.iterdir()] == ["r.json"]


def test_full_disk_keeps_the_old_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "r.json"
    target.write_text("old")
    with pytest.raises(MachineError, match=r"could not be written \(No space left on device\)"):
        files.write("--json", target, "new")
    assert target.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["r.json"]


def test_unwritable_places_are_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--json .*is a directory"):
        files.check_writable("--json", tmp_path)
    with pytest.raises(UsageError, match="there is no directory"):
        files.check_writable("--json", tmp_path / "none" / "r.json")
    files.check_writable("--json", tmp_path / "r.json")
