"""calibrate's program at EL0 of a real kernel, as its init: it may do what it measures, and does it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocwatch.cost.calibrate import measure
from pocwatch.demo import cpio
from pocwatch.demo.machine import Machine

pytestmark = pytest.mark.machine

COMPILER = "aarch64-linux-gnu-gcc"
MAX_KIB, LINE_BYTES = 32, 64


def test_linux_lets_el0_do_what_is_measured(
    watch_command: Callable[..., dict[str, Any]], prepared: Machine, tmp_path: Path
) -> None:
    """The sanitizer counts the operations that the machine executed: at least those of all rounds."""
    assert shutil.which(COMPILER), f"no {COMPILER}: tools/setup installs it"
    program = measure.build(COMPILER, tmp_path, static=True)
    root = [
        cpio.directory("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.program("init", program.read_bytes()),
    ]
    (tmp_path / "initrd").write_bytes(cpio.archive(root))
    said = tmp_path / "console"
    options = ["-M", "virt", "-cpu", "neoverse-n1", "-smp", "2", "-m", "256M", "-no-reboot"]
    options += ["-nodefaults", "-display", "none", "-serial", f"file:{said}"]
    options += ["-kernel", str(prepared.kernel), "-initrd", str(tmp_path / "initrd")]
    arguments = f"{MAX_KIB} 2 1"  # the kernel gives init what follows `--`
    options += ["-append", f"console=ttyAMA0 quiet panic=-1 -- {arguments}"]
    done = watch_command(["qemu-system-aarch64", *options])["maintenance"]

    records = [json.loads(line) for line in said.read_text().splitlines() if line[:1] == "{"]
    assert [r["kind"] for r in records] == ["machine", *["sample"] * (len(records) - 2), "end"]
    assert records[0]["line_bytes"] == LINE_BYTES
    measured: dict[str, int] = {}
    for sample in records[1:-1]:
        if sample["op"] != "dsb":
            op = sample["op"].replace("write_clean", "dc_cvac").replace("_", " ")
            lines = sample["rounds"] * sample["bytes"] // LINE_BYTES
            measured[op] = measured.get(op, 0) + lines
    assert set(measured) == {"dc cvac", "dc civac", "dc cvau", "ic ivau"}
    for op, lines in measured.items():
        assert done[op] >= lines
