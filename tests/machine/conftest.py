"""The demonstration machine under the sanitizer; every run is made once and shared."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocwatch.demo import cpio, guest_dtb, initramfs, machine, recipe
from pocwatch.demo.machine import Machine
from pocwatch.report import json as report_json
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options

Report = dict[str, Any]  # the keys of report/json.py

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def prepared() -> Machine:
    return machine.prepare(machine.default_cache_dir())


@pytest.fixture(scope="session")
def watch_command(plugin_path: Path, prepared: Machine) -> Callable[..., Report]:
    """Run a command line of QEMU: `watch_command(command, *drop)`."""

    def run(command: list[str], *drop: str) -> Report:
        options = Options(command=command, symbols=prepared.symbol_options(), drop=drop)
        report = report_json.data(launch.run(launch.plan(options), lambda _: None))
        assert report["complete"], report["failure"]
        return report

    return run


@pytest.fixture(scope="session")
def watch(watch_command: Callable[..., Report], prepared: Machine) -> Callable[..., Report]:
    """Run the machine, once for each set of arguments: `watch(cpu, smp, scenario, *drop)`."""

    @functools.cache
    def run(cpu: str, smp: int, scenario: str, *drop: str) -> Report:
        return watch_command(prepared.qemu_args(cpu=cpu, smp=smp, scenario=scenario), *drop)

    return run


@pytest.fixture(scope="session")
def demo(
    plugin_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], dict[str, Report]]:
    """`pocwatch demo`, and the reports that it wrote, by name."""
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from pocwatch.cli.main import main; main()"),
            *("demo", "--out", str(out)),
        ],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "POCWATCH_PLUGIN": str(plugin_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done, {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


_TWO_VCPUS_INIT = """\
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
/vmm -c 2 {memory_mib} /guest/Image /guest/dtb /guest/initrd
busybox poweroff -f
"""
_GUEST_INIT = """\
#!/bin/busybox sh
echo "guest CPUs: $(busybox nproc)"
busybox poweroff -f
"""


@pytest.fixture
def guest_of_two(prepared: Machine, tmp_path: Path) -> list[str]:
    """The machine with two CPUs and a guest of two vCPUs, which says how many it has.

    A second archive in an initramfs replaces files of the first.
    """
    busybox = (prepared.kernel.parent / "busybox").read_bytes()
    inner = initramfs.guest_initrd(busybox) + cpio.archive(
        [cpio.program("init", _GUEST_INIT.encode())]
    )
    dtb = guest_dtb.build(
        guest_dtb.read_layout(),
        memory_bytes=recipe.GUEST_MEMORY_MIB << 20,
        initrd_bytes=len(inner),
        vcpus=2,
        command_line=initramfs.COMMAND_LINE,
    )
    init = _TWO_VCPUS_INIT.format(memory_mib=recipe.GUEST_MEMORY_MIB)
    extra = cpio.archive(
        [
            cpio.program("init", init.encode()),
            cpio.regular("guest/dtb", dtb),
            cpio.regular("guest/initrd", inner),
        ]
    )
    initrd = tmp_path / "initrd"
    initrd.write_bytes(prepared.initrds["guest"].read_bytes() + extra)
    words = prepared.qemu_args(smp=2)
    words[words.index("-initrd") + 1] = str(initrd)
    return words
