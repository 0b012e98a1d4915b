"""The demonstration's kernel: its own symbol table against what it shows at run time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocwatch.demo import cpio, machine
from pocwatch.demo.machine import Machine
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options
from pocwatch.sanitizer.symbols import SymbolTable, load

_INIT = """\
#!/bin/busybox sh
busybox mount -t proc proc /proc
echo 0 > /proc/sys/kernel/kptr_restrict
echo BEGIN
busybox cat /proc/kallsyms
echo END
busybox poweroff -f
"""


@pytest.fixture(scope="module")
def prepared() -> Machine:
    return machine.prepare(machine.default_cache_dir())


def command(prepared: Machine, folder: Path, *, kaslr: bool) -> list[str]:
    """The host alone, printing /proc/kallsyms: a second archive replaces its init."""
    initrd = folder / "initrd"
    extra = cpio.archive([cpio.directory("proc"), cpio.program("init", _INIT.encode())])
    initrd.write_bytes(prepared.initrds["host"].read_bytes() + extra)
    words = prepared.qemu_args(scenario="host")
    words[words.index("-initrd") + 1] = str(initrd)
    if kaslr:
        append = words.index("-append") + 1
        words[append] = words[append].replace("nokaslr", "")
    return words


def content(table: SymbolTable, slide: int = 0) -> list[tuple[int, str, bool]]:
    return sorted((s.address + slide, s.name, s.code) for s in table.symbols if s.name != "_text")


@pytest.mark.machine
@pytest.mark.parametrize("kaslr", [False, True])
def test_the_image_s_table_is_what_the_kernel_shows(
    prepared: Machine, tmp_path: Path, kaslr: bool
) -> None:
    done = subprocess.run(
        command(prepared, tmp_path, kaslr=kaslr),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    text = done.stdout.replace("\r", "").partition("BEGIN\n")[2].partition("END\n")[0]
    (tmp_path / "kallsyms").write_text(text)
    shown, own = load(tmp_path / "kallsyms"), load(prepared.kernel)
    entry = shown.address_of("primary_entry"), own.address_of("primary_entry")
    assert None not in entry
    slide = entry[0] - entry[1]  # type: ignore[operator]
    assert (slide != 0) is kaslr
    assert len(shown.symbols) > 10_000
    assert content(shown) == content(own, slide)


@pytest.mark.machine
@pytest.mark.usefixtures("plugin_path")
def test_names_and_rules_hold_under_kaslr(prepared: Machine, tmp_path: Path) -> None:
    """`ic ivau` of the kernel's own code patching is dropped by name, and found by name."""
    rule = "ic ivau@caches_clean_inval_pou"
    options = Options(command=command(prepared, tmp_path, kaslr=True), drop=[rule])
    report = launch.run(launch.plan(options), lambda _: None)
    assert report.complete, report.failure
    assert report.dropped[rule] > 0
    fetches = [f for f in report.findings if f.kind == "stale-fetch"]
    kernel = [f for f in fetches if f.access.el == 1]
    assert kernel
    assert all(f.access.symbol for f in kernel)
    culprits = {m.event.symbol for f in fetches for m in f.maintenance if m.event.rule == rule}
    assert {c and c.split("+")[0] for c in culprits} == {"caches_clean_inval_pou"}
