"""Folders and files of this computer as archive entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.demo import cpio
from pocwatch.sanitizer.errors import UsageError
from pocwatch.user import pack


def test_a_tree_keeps_kinds_modes_and_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0o755)
    (tmp_path / "sub" / "run").write_bytes(b"x")
    (tmp_path / "sub" / "run").chmod(0o750)
    (tmp_path / "link").symlink_to("sub/run")
    assert list(pack.tree(tmp_path, "work")) == [
        cpio.Entry("work/sub", 0o040755),
        cpio.Entry("work/link", 0o120777, b"sub/run"),
        cpio.Entry("work/sub/run", 0o100750, b"x"),
    ]


def test_a_root_comes_without_its_manuals(tmp_path: Path) -> None:
    (tmp_path / "usr/share/doc/p").mkdir(parents=True)
    (tmp_path / "usr/share/doc/p/copyright").touch()
    assert [e.name for e in pack.tree(tmp_path)] == ["usr", "usr/share"]


def test_a_folder_that_is_too_large_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(UsageError, match=r"more than 1 MiB.*--workdir none"):
        list(pack.tree(tmp_path, "w", limit_bytes=1 << 20))


def test_a_file_brings_the_folders_above_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    (tmp_path / "f").chmod(0o644)
    assert list(pack.files({"/a/b/f": tmp_path / "f"})) == [
        cpio.directory("a"),
        cpio.directory("a/b"),
        cpio.regular("a/b/f", b"data"),
    ]
