"""Machines that do odd things: no crash of the plugin, no false report, and none that is missed.

Programs in odd/, with the runtime of the corpus: FIXED is 1 for the sequence with its maintenance, of
which nothing may be reported, and 0 for that without, which shows that the silence says something.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from corpus.judge import MACHINE
from pocwatch.sanitizer import launch, process
from pocwatch.sanitizer.findings import Report

pytestmark = [pytest.mark.machine, pytest.mark.usefixtures("plugin_path")]

ODD = Path(__file__).with_name("odd")
GARBAGE_WORDS = 900  # less than a page
PATIENCE = process.Limit(60)
A57 = ("virt", "cortex-a57")


def run(
    folder: Path,
    name: str,
    *defines: str,
    machine: tuple[str, str] = A57,
    limit: process.Limit = PATIENCE,
) -> Report:
    program = folder / "program.elf"
    command = [
        *("aarch64-linux-gnu-gcc", "-march=armv8.2-a", "-nostdlib", "-static", f"-I{MACHINE}"),
        *(f"-I{folder}", *(f"-D{each}" for each in defines)),
        *("-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{MACHINE / 'machine.ld'}"),
        *("-o", str(program), str(MACHINE / "machine.S"), str(ODD / f"{name}.S")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    board, cpu = machine
    qemu = ["qemu-system-aarch64", "-M", board, "-cpu", cpu, "-m", "16M", "-nodefaults"]
    qemu += ["-display", "none", "-nic", "none", "-kernel", str(program)]
    plan = launch.plan(launch.Options(command=qemu))
    report = launch.run(plan, lambda _: None, limit=limit)
    assert report.complete, report.failure
    return report


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def garbage(seed: int) -> list[int]:
    """Random words that are no branch; system instructions, exceptions and undefined ones are there."""
    words: list[int] = []
    draw = random.Random(seed)
    while len(words) < GARBAGE_WORDS:
        word = draw.getrandbits(32)
        if word & 0x1C00_0000 != 0x1400_0000 or word >> 24 in (0xD4, 0xD5):
            words.append(word)
    return words


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jumps_into_garbage(tmp_path: Path, seed: int) -> None:
    text = "".join(f".inst {word:#010x}\n" for word in garbage(seed))
    (tmp_path / "garbage.inc").write_text(text)
    report = run(tmp_path, "garbage", f"GARBAGE_WORDS={GARBAGE_WORDS}")
    assert kinds(report) == set()
    assert report.instructions > GARBAGE_WORDS


def test_a_machine_that_maps_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, "nothing", limit=process.Limit(2, ends_it=True))
    assert kinds(report) == set()
    assert report.walks > 0


@pytest.mark.parametrize(("fixed", "found"), [(1, set()), (0, {"stale-fetch"})])
@pytest.mark.parametrize(
    ("name", "defines"), [("aliases", ()), ("granule-64k", ("SCTLR_NO_MMU=0x30d00800",))]
)
def test_odd_mappings(
    tmp_path: Path, name: str, defines: tuple[str, ...], fixed: int, found: set[str]
) -> None:
    assert kinds(run(tmp_path, name, f"FIXED={fixed}", *defines)) == found


@pytest.mark.parametrize(("fixed", "found"), [(1, set()), (0, {"stale-read"})])
@pytest.mark.parametrize(
    "store", ["str x4,[x2]", "stzg x2,[x2]", "stz2g x2,[x2]", "dc gzva,x2", "stgp x4,x3,[x2]"]
)
def test_tagged_memory(tmp_path: Path, store: str, fixed: int, found: set[str]) -> None:
    report = run(
        tmp_path, "mte", f"FIXED={fixed}", f"STORE={store}", machine=("virt,mte=on", "max")
    )
    assert kinds(report) == found


@pytest.mark.parametrize(("fixed", "found"), [(1, set()), (0, {"stale-read"})])
@pytest.mark.parametrize("bits", [128, 256, 2048])
def test_sve(tmp_path: Path, bits: int, fixed: int, found: set[str]) -> None:
    vectors = ",".join(
        ["max", *(f"sve{n}=on" for n in (128, 256, 512, 1024, 2048) if n <= bits)]
    )
    report = run(tmp_path, "sve", f"FIXED={fixed}", machine=("virt", vectors))
    assert kinds(report) == found
    assert not any(f.access.va & 0xFFF == 0 for f in report.findings), "no lane, nothing written"
