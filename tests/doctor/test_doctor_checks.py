"""What doctor says when things are taken away."""

from __future__ import annotations

import re
import tempfile
import tomllib
from pathlib import Path

import pytest
import raw_records as raw
from fake_machine import FakeQemu

from pocwatch.cost.cachesim import native
from pocwatch.doctor import cures, machine, parts, proof, storage, symbols
from pocwatch.doctor.record import Check, State
from pocwatch.sanitizer import workspace
from pocwatch.sanitizer.errors import UsageError

ROOT = Path(__file__).parents[2]
DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
DEBIAN_13 = DEBIAN_12.replace("12", "13").replace("bookworm", "trixie")


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says which system this is: Debian 13 unless a test writes another."""
    file = tmp_path / "os-release"
    file.write_text(DEBIAN_13)
    monkeypatch.setattr(cures, "_OS_RELEASE", file)
    monkeypatch.setattr(cures.os, "geteuid", lambda: 1000)
    return file


def test_a_machine_with_the_planted_finding_works(fake_qemu: FakeQemu) -> None:
    program = fake_qemu(raw=[raw.finding()])
    found = machine.checks(str(program))
    assert [check.state for check in found] == [State.WORKS] * 3
    assert found[0].found == f"{program}, version 10.0.2"


def test_a_machine_without_the_planted_finding_does_not(fake_qemu: FakeQemu) -> None:
    *_, tried = machine.checks(str(fake_qemu()))
    assert tried.state is State.MISSING
    assert "gave no findings, not one stale-fetch" in tried.found


def test_a_machine_that_never_ends_is_ended(
    fake_qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "SECONDS", 0.2)
    *_, tried = machine.checks(str(fake_qemu(sleep=60)))
    assert tried.state is State.MISSING
    assert "QEMU did not end in 0.2 s" in tried.found


def test_a_cpu_without_registers_is_said(fake_qemu: FakeQemu) -> None:
    *_, tried = machine.checks(str(fake_qemu(probe={"header": {}})))
    assert (tried.state, tried.found) == (State.MISSING, "it has no CTR_EL0")


@pytest.mark.parametrize(
    ("script", "says"),
    [({"version": "7.2.19"}, "is QEMU 7.2.19"), ({"help": ""}, "was built without plugins")],
)
def test_a_qemu_that_does_not_do(
    fake_qemu: FakeQemu, debian: Path, script: dict[str, str], says: str
) -> None:
    found = by_name(machine.checks(str(fake_qemu(**script))))
    assert found["QEMU"].state is State.MISSING
    assert says in found["QEMU"].found
    assert found["QEMU"].cure == "sudo apt-get install qemu-system-arm"
    assert found["machine"].found == "not tried without QEMU"


def test_on_debian_12_qemu_comes_from_the_backports(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian.write_text(DEBIAN_12)
    monkeypatch.setattr(cures.apt_sources, "read_sources", list)
    found = by_name(machine.checks("qemu-system-aarch64-not-there"))
    add, update, install = (found["QEMU"].cure or "").split(" && ")
    assert "apt_sources.py -backports | sudo tee /etc/apt/sources.list.d/" in add
    assert update == "sudo apt-get update"
    assert install == "sudo apt-get install -t bookworm-backports qemu-system-arm"
    there = cures.apt_sources.Source((), ("bookworm-backports",), ("main",))
    monkeypatch.setattr(cures.apt_sources, "read_sources", lambda: [there])
    assert cures.qemu() == install, "an entry that is there is not written over"


def test_a_wrong_plugin_path(fake_qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    program = str(fake_qemu())
    monkeypatch.setenv("POCWATCH_PLUGIN", "/no/plugin.so")
    found = by_name(machine.checks(program))
    assert found["plugin"].state is State.MISSING
    assert "/no/plugin.so" in found["plugin"].found
    assert found["plugin"].cure == "unset POCWATCH_PLUGIN"


def test_shared_memory_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "SHARED_MEMORY", tmp_path / "absent")
    found = by_name(storage.checks())["workspace"]
    assert found.state is State.OPTIONAL
    assert "slower" in found.found
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent, too"))
    found = by_name(storage.checks())["workspace"]
    assert found.state is State.MISSING
    assert "TMPDIR" in found.found
    assert "mount -o remount,size=1G" in (found.cure or "")


def test_a_cache_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no")  # not even root writes there
    found = by_name(storage.checks())["cache folder"]
    assert found.state is State.OPTIONAL
    assert "/proc cannot be written" in found.found


def test_memory_is_told_by_the_measured_figure() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    measured = [int(n) for n in re.findall(r"(\d+) MiB more per GiB touched than", text)]
    assert measured
    assert max(measured) <= storage.MIB_PER_GIB_TOUCHED < 1.25 * max(measured)


def test_every_dependency_is_looked_at_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = set(project["dependencies"])
    wanted |= {each for name, group in extras.items() if name != "test" for each in group}
    listed = {package.requirement for package in parts.PACKAGES}
    assert listed == wanted, "src/pocwatch/doctor/parts.py says what each package is for"


def test_packages_and_programs_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, debian: Path
) -> None:
    absent = {"matplotlib", "elftools"}
    monkeypatch.setattr(parts.importlib.util, "find_spec", lambda n: None if n in absent else n)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name(parts.checks())
    assert found["matplotlib"].state is State.OPTIONAL
    assert (found["matplotlib"].cure or "").endswith("-m pip install 'matplotlib>=3.8'")
    assert found["pyelftools"].state is State.MISSING
    compiler = found["aarch64-linux-gnu-gcc"]
    assert compiler.state is State.OPTIONAL
    assert compiler.cure == (
        "sudo apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    )


def test_a_simulator_that_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "sim.so"
    broken.write_bytes(b"no library")
    monkeypatch.setenv("POCWATCH_CACHESIM", str(broken))
    assert native.library_path() == broken
    found = by_name(parts.checks())["simulator"]
    assert (found.state, found.cure) == (State.OPTIONAL, "unset POCWATCH_CACHESIM")


KALLSYMS = "ffff800008000000 T _text\nffff800008010000 T primary_entry\n"


@pytest.mark.parametrize(
    ("name", "text", "state", "says", "cure"),
    [
        ("kallsyms", KALLSYMS, State.WORKS, "2 symbols, with _text: found by PA", None),
        (
            "names", KALLSYMS.replace("_text", "start"), State.WORKS,
            "no _text: looked up by VA, as linked, so not under KASLR", None,
        ),
        (
            "kallsyms", re.sub(r"ffff\w+", "0" * 16, KALLSYMS), State.MISSING,
            "every address is 0", "sudo sysctl kernel.kptr_restrict=0",
        ),
        (
            "System.map-6.1", "ffffffffffffffff B The real System.map is elsewhere\n",
            State.MISSING, "", "pocwatch doctor --kernel /boot/vmlinuz-6.1",
        ),
        (
            "System.map-6.1", KALLSYMS, State.MISSING, "a stub of 2 lines",
            "pocwatch doctor --kernel /boot/vmlinuz-6.1",
        ),
        ("letter", "dear reader\n", State.MISSING, "neither kallsyms text, ELF nor", None),
    ],
)  # fmt: skip
def test_symbol_files(
    tmp_path: Path, name: str, text: str, state: State, says: str, cure: str | None
) -> None:
    file = tmp_path / name
    file.write_text(text)
    (found,) = symbols.checks([str(file)], None)
    assert found.state is state
    assert says in found.found
    assert (found.cure or "").startswith(cure or "")
    assert (found.cure is None) is (cure is None)
    (same,) = symbols.checks([], file)
    assert (same.name, same.state) == ("kernel", state)


def test_a_given_address_is_said(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(KALLSYMS)
    (found,) = symbols.checks([f"guest@80200000={file}"], None)
    assert "_text at 0x80200000" in found.found
    with pytest.raises(UsageError, match="is no load address"):
        symbols.checks([f"guest@x={file}"], None)
