"""The command line: help, version, bad input in one line, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_machine import FakeQemu

SOURCE = str(Path(__file__).parents[2] / "src")
MACHINE = ["-M", "virt", "-cpu", "cortex-a57"]
# What `--help` must not pay for.
HEAVY = {
    "rich",
    "elftools",
    "fdt",
    "pocwatch.sanitizer",
    "pocwatch.line",
    "pocwatch.demo",
    "asyncio",
}


def pocwatch(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, **env},
        check=False,
    )


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["demo", "--help"]])
def test_help_has_examples(args: list[str]) -> None:
    done = pocwatch(*args)
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert "Exit" in done.stdout
    assert done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "from pocwatch.cli.main import main; main()",
            "--help",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=True,
    )
    modules = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "click" in modules
    assert not modules & HEAVY


def test_version() -> None:
    done = pocwatch("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("pocwatch ")


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("pocwatch: error: ")
    return line


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "no command given; commands: run, "),
        (["bogus"], "no command 'bogus'; commands: run, "),
        (["--bogus"], "--bogus"),
        (["run"], "no QEMU command given; usage: pocwatch run"),
        (["run", "--bogus", "--", "x"], "--bogus"),
        (["run", "--max-findings", "few", "--", "x"], "few"),
        (["run", "--", "qemu-system-x86_64", "-M", "q35"], "emulates x86_64"),
        (["run", "--", "qemu-system-aarch64", "-M", "raspi4b"], "-machine raspi4b"),
        (["run", "--json", "/nowhere/at/all.json", "--", "x"], "there is no directory /nowhere/at"),
    ],
)
def test_bad_input_before_qemu_is_asked(args: list[str], says: str) -> None:
    assert says in one_line(pocwatch(*args), 2)


def test_missing_qemu() -> None:
    line = one_line(pocwatch("run", "--", "/no/qemu-system-aarch64", *MACHINE), 3)
    assert "/no/qemu-system-aarch64: no such program; install QEMU 9.1 or newer" in line


def test_old_qemu(fake_qemu: FakeQemu) -> None:
    line = one_line(pocwatch("run", "--", str(fake_qemu(version="7.2.19")), *MACHINE), 3)
    assert "is QEMU 7.2.19; pocwatch needs 9.1 or newer" in line


def test_qemu_without_plugins(fake_qemu: FakeQemu) -> None:
    line = one_line(pocwatch("run", "--", str(fake_qemu(help="")), *MACHINE), 3)
    assert "built without plugins" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--platform", "z80"], "unknown platform 'z80'"),
        (["--platform", "/no/such.toml"], "/no/such.toml"),
        (["--symbols", "/etc/passwd"], "/etc/passwd: is neither kallsyms text, ELF nor arm64"),
        (["--symbols", "guest@x=/etc/passwd"], "'x' is no load address"),
        (["--symbols", "/no/symbols"], "/no/symbols: cannot read this symbol file"),
        (["--drop", "dc civac"], "not of the form OP@WHERE"),
        (["--drop", "dc flush@*"], "'dc flush' is no maintenance operation"),
        (["--drop", "dc civac@nothing_of_that_name"], "no symbol file has a function"),
        (["--weaken", "dc civac@*"], "not of the form OP=NEWOP@WHERE"),
        (["--suppressions", "/no/file"], "--suppressions /no/file: cannot be read"),
    ],
)
def test_bad_options(fake_qemu: FakeQemu, options: list[str], says: str) -> None:
    assert says in one_line(pocwatch("run", *options, "--", str(fake_qemu()), *MACHINE), 2)


def test_missing_kernel(fake_qemu: FakeQemu) -> None:
    done = pocwatch("run", "--", str(fake_qemu()), *MACHINE, "-kernel", "/no/Image")
    assert "-kernel /no/Image: no such file" in one_line(done, 2)


def test_missing_plugin(fake_qemu: FakeQemu) -> None:
    program = str(fake_qemu())
    done = pocwatch("run", "--", program, *MACHINE, POCWATCH_PLUGIN="/no/plugin.so")
    assert "POCWATCH_PLUGIN=/no/plugin.so: the QEMU plugin is not there" in one_line(done, 3)
