"""The machine's root: where its files are here, and what is added to it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pocwatch.sanitizer.errors import UsageError
from pocwatch.user import root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "usr/lib").mkdir(parents=True)
    (made / "usr/lib/libc.so.6").write_bytes(b"libc")
    (made / "usr/lib/absolute").symlink_to("/usr/lib/libc.so.6")
    (made / "usr/lib/relative").symlink_to("../lib/absolute")
    (made / "usr/lib/circle").symlink_to("circle")
    return made


@pytest.mark.parametrize("name", ["libc.so.6", "absolute", "relative"])
def test_links_are_followed_inside_the_root(folder: Path, name: str) -> None:
    made = root.of_folder(folder, b"")
    assert made.find(f"/usr/lib/{name}") == folder / "usr/lib/libc.so.6"


@pytest.mark.parametrize("name", ["/usr/lib/circle", "/usr/lib/none", "/usr", "/../../etc/passwd"])
def test_what_is_no_file_there_is_not_found(folder: Path, name: str) -> None:
    assert root.of_folder(folder, b"").find(name) is None


def test_a_root_of_merged_packages_gets_the_links_of_base_files(folder: Path) -> None:
    by_name = {entry.name: entry for entry in root.of_folder(folder, b"bb").entries(b"init")}
    assert by_name["lib"].data == b"usr/lib"
    assert stat.S_ISLNK(by_name["lib"].mode)
    assert stat.S_ISDIR(by_name["usr/bin"].mode)  # where the link /bin goes
    assert by_name["init"].data == b"init"
    (folder / "lib").mkdir()
    by_name = {entry.name: entry for entry in root.of_folder(folder, b"bb").entries(b"init")}
    assert stat.S_ISDIR(by_name["lib"].mode)


def test_the_digest_follows_the_files(folder: Path) -> None:
    before = root.of_folder(folder, b"").digest
    assert root.of_folder(folder, b"").digest == before
    (folder / "usr/lib/new").touch()
    assert root.of_folder(folder, b"").digest != before


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--rootfs .*is no folder"):
        root.of_folder(tmp_path / "none", b"")
