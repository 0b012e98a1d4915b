"""apt is called with folders of its own, and its answers are read; no network, fakes for apt."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pocwatch.demo import apt_sources, packages
from pocwatch.demo.errors import DemoError
from pocwatch.demo.packages import AptRoot

SHOWN = """\
Package: linux-image-cloud-arm64
Version: 6.1.192-2
Depends: initramfs-tools | dracut, linux-image-6.1.0-56-cloud-arm64 (= 6.1.192-2)
"""


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one on PATH beside the shell's own, with fakes of apt's tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        fake(folder, tool, "exit 0")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(apt_sources, "release_name", lambda: "trixie")
    source = apt_sources.Source(("http://mirror.test/debian",), ("trixie",), ("main",))
    monkeypatch.setattr(apt_sources, "read_sources", lambda: [source])
    return folder


def fake(folder: Path, tool: str, script: str) -> None:
    path = folder / tool
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_root_is_its_own(bin_dir: Path, tmp_path: Path) -> None:
    AptRoot(tmp_path / "apt", "bookworm")
    config = (tmp_path / "apt/apt.conf").read_text()
    assert f'Dir::State "{tmp_path}/apt/state";' in config
    assert f'Dir::Etc::sourcelist "{tmp_path}/apt/debian.sources";' in config
    assert 'Dir::Etc::sourceparts "/dev/null";' in config
    assert 'APT::Architecture "arm64";' in config
    (source,) = apt_sources.parse_deb822((tmp_path / "apt/debian.sources").read_text())
    assert source.suites == ("bookworm",)
    assert source.fields == {"Architectures": "arm64"}


def test_the_dependency_is_found_among_alternatives(bin_dir: Path, tmp_path: Path) -> None:
    fake(bin_dir, "apt-cache", f"echo '{SHOWN}'")
    apt = AptRoot(tmp_path / "apt", "bookworm")
    name = apt.dependency("linux-image-cloud-arm64", "linux-image-")
    assert name == "linux-image-6.1.0-56-cloud-arm64"
    assert apt.version("linux-image-cloud-arm64") == "6.1.192-2"
    with pytest.raises(DemoError, match=r"depends on no package named 'vmlinuz-…'"):
        apt.dependency("linux-image-cloud-arm64", "vmlinuz-")


def test_a_download_is_of_the_version_shown(bin_dir: Path, tmp_path: Path) -> None:
    fake(bin_dir, "apt-cache", f"echo '{SHOWN}'")
    fake(bin_dir, "apt-get", 'for last; do :; done; : > "${last%%=*}_${last#*=}_arm64.deb"')
    apt = AptRoot(tmp_path / "apt", "bookworm")
    (package,) = apt.download(["kernel"], tmp_path / "debs")
    assert package.path == tmp_path / "debs/kernel/kernel_6.1.192-2_arm64.deb"


def test_a_missing_package_is_told_with_what_the_update_said(bin_dir: Path, tmp_path: Path) -> None:
    fake(bin_dir, "apt-get", "echo 'W: slow' >&2; echo 'E: no route to mirror' >&2; exit 100")
    fake(bin_dir, "apt-cache", "exit 100")
    apt = AptRoot(tmp_path / "apt", "bookworm")
    apt.update()
    with pytest.raises(DemoError, match=r"'kernel' was not found.*E: no route to mirror") as caught:
        apt.version("kernel")
    assert "\n" not in str(caught.value)


def test_a_machine_without_apt_is_told_what_is_missing(bin_dir: Path, tmp_path: Path) -> None:
    (bin_dir / "dpkg-deb").unlink()
    with pytest.raises(DemoError, match="'dpkg-deb', which is not on this machine"):
        AptRoot(tmp_path / "apt", "bookworm")


def test_a_machine_without_debian_sources_is_told_so(
    bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_sources, "read_sources", list)
    with pytest.raises(DemoError, match=r"no entry for suite 'trixie'"):
        AptRoot(tmp_path / "apt", "bookworm")


def test_a_command_that_fails_is_quoted_by_its_first_error(bin_dir: Path) -> None:
    fake(bin_dir, "tool", "echo one >&2; echo 'E: two' >&2; echo three >&2; exit 3")
    with pytest.raises(DemoError, match=r"^it failed \(status 3\): E: two$"):
        packages._run(["tool"], "it failed")


def test_a_package_is_downloaded_with_what_it_depends_on(bin_dir: Path, tmp_path: Path) -> None:
    fake(bin_dir, "apt-cache", f"echo '{SHOWN}'")
    folder = tmp_path / "debs"
    fake(
        bin_dir,
        "apt-get",
        f'case "$*" in *--download-only*"--no-install-recommends install luajit"*) '
        f": > {folder}/luajit_2.1_arm64.deb; : > {folder}/libc6_1%3a2.36-9_arm64.deb;; *) exit 1;; esac",
    )
    found = AptRoot(tmp_path / "apt", "bookworm").download_whole(["luajit"], folder)
    assert [(package.name, package.version) for package in found] == [
        ("libc6", "1:2.36-9"),
        ("luajit", "2.1"),
    ]
