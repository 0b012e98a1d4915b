"""The plugin's access stream of a small bare-metal program, record by record, and a kernel's in sums."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.cost.cachesim import simulate, stream
from pocwatch.cost.cachesim.counts import Cause, Outcome, Use
from pocwatch.cost.cachesim.live import Live
from pocwatch.demo.machine import Machine
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.errors import MachineError
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.launch import Options

pytestmark = pytest.mark.machine

START = 0x4020_0000
CACHED, TABLE, DATA = START + 0x1000, START + 0x2000, START + 0x3000

# Turns the MMU on with one descriptor that maps 1 GiB as Normal Write-Back, jumps to the next page,
# and there writes a line, cleans and invalidates it, and reads it back; then it turns the machine off.
PROGRAM = """
    .text
    .global _start
_start:
    adr x0, table
    msr ttbr0_el1, x0
    ldr x1, =0x80813519   // TCR_EL1: T0SZ 25, WB WA, 4 KiB; no walks by TTBR1
    msr tcr_el1, x1
    mov x1, #0xff         // MAIR_EL1: Attr0 Normal Write-Back
    msr mair_el1, x1
    isb
    mrs x1, sctlr_el1
    mov x2, #0x1005       // M, C, I
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    b cached
    .balign 4096
cached:
    adr x0, data
    mov x1, #1
    str x1, [x0]
    dc {op}, x0
    dsb sy
    ldr x1, [x0]
    ldr w0, =0x84000008   // PSCI SYSTEM_OFF
    hvc #0
1:  b 1b
    .ltorg
    .balign 4096
table:
    .quad 0
    .quad 0x40000701      // 1 GiB block at 1 GiB: Attr0, accessed, inner shareable
    .fill 510, 8, 0
data:
    .quad 0
"""


def command(folder: Path, op: str = "civac") -> list[str]:
    source, program = folder / "program.s", folder / "program"
    source.write_text(PROGRAM.format(op=op))
    for words in (
        ("as", "-o", f"{program}.o", source),
        ("ld", f"-Ttext={START:#x}", "-o", f"{program}.elf", f"{program}.o"),
        ("objcopy", "-O", "binary", f"{program}.elf", program),
    ):
        subprocess.run([f"aarch64-linux-gnu-{words[0]}", *words[1:]], check=True)
    machine = ["-M", "virt", "-cpu", "cortex-a57", "-m", "64M", "-nodefaults", "-display", "none"]
    loaders = (
        f"loader,file={program},addr={START:#x},force-raw=on",
        f"loader,addr={START:#x},cpu-num=0",
    )
    return [
        "qemu-system-aarch64",
        *machine,
        *(word for each in loaders for word in ("-device", each)),
    ]


def run(words: list[str], path: Path, platform: str = "cortex-a57-up", **options: object) -> Report:
    asked = Options(command=words, platform=platform, stream=path, **options)  # type: ignore[arg-type]
    return launch.run(launch.plan(asked), lambda _: None)


def test_every_record_of_a_small_program(plugin_path: Path, tmp_path: Path) -> None:
    """Instructions between two barriers, MSRs or maintenance are fetched together, by line.

    With the MMU off, fetches are Non-cacheable (I is 0) and loads Device; the literal of `ldr x1, =`
    comes behind `cached`. With it on, each new page costs a walk, which reads the one descriptor.
    """
    path = tmp_path / "stream"
    assert run(command(tmp_path), path).complete
    wb, walk = Kind.WB, (Op.TW, Kind.WB, TABLE + 8, 8)
    assert [(Op(a.op), Kind(a.kind), a.pa, a.size) for a in stream.accesses(path)] == [
        (Op.IF, Kind.NC, START, 8),  # adr, msr ttbr0_el1
        (Op.IF, Kind.NC, START + 8, 8),  # ldr, msr tcr_el1
        (Op.LD, Kind.DEV, CACHED + 0x28, 8),
        (Op.IF, Kind.NC, START + 0x10, 8),  # mov, msr mair_el1
        (Op.IF, Kind.NC, START + 0x18, 4),  # isb
        (Op.IF, Kind.NC, START + 0x1C, 16),  # mrs, mov, orr, msr sctlr_el1
        walk,
        (Op.IF, wb, START + 0x2C, 4),  # isb
        (Op.IF, wb, START + 0x30, 4),  # b
        walk,
        (Op.IF, wb, CACHED, 16),  # adr, mov, str, dc
        walk,
        (Op.ST, wb, DATA, 8),
        (Op.DC_CIVAC, wb, DATA, 0),
        (Op.IF, wb, CACHED + 0x10, 4),  # dsb
        (Op.DSB, wb, 0, 0),
        (Op.IF, wb, CACHED + 0x14, 12),  # ldr, ldr, hvc
        (Op.LD, wb, DATA, 8),
        walk,
        (Op.LD, wb, CACHED + 0x24, 4),
    ]


def test_counts_of_a_small_program_live(plugin_path: Path, tmp_path: Path) -> None:
    """Counted by hand from the records above, on a Cortex-A57 of one PE.

    The only line that leaves a cache is the one that is cleaned and invalidated.
    """
    platform = platforms.load("cortex-a57-up")
    with Live(lambda fifo: simulate(fifo, platform)) as live:
        assert run(command(tmp_path), live.path).complete
    counts = live.result()
    l1i, l1d, l2 = counts.pes[0].caches[:3]
    assert counts.accesses == 20
    assert list(counts.pes[0].uncached) == [1, 0, 5, 0, 0]
    assert (l1i.hits[Use.FETCH], l1i.misses[Use.FETCH]) == (3, 2)
    assert (l1d.hits[Use.WALK], l1d.misses[Use.WALK]) == (3, 1)
    assert (l1d.misses[Use.STORE], l1d.misses[Use.LOAD]) == (1, 2)
    # The literal's line was fetched into L2; what was cleaned and invalidated is not there either.
    assert (l2.hits[Use.LOAD], l2.misses[Use.LOAD]) == (1, 1)
    assert (l1d.induced[Use.LOAD], l2.induced[Use.LOAD]) == (1, 1)
    assert counts.pes[0].memory_writes[Cause.MAINTENANCE] == 1
    assert list(counts.pes[0].memory_reads) == [1, 1, 2, 1, 0]
    found = counts.ops[Op.DC_CIVAC].found
    assert (found[1][Outcome.DIRTY], found[2][Outcome.CLEAN]) == (1, 1)


@pytest.mark.parametrize(
    ("op", "rules", "recorded"),
    [
        ("civac", {"drop": ["dc civac@*"]}, None),
        ("civac", {"weaken": ["dc civac=dc cvau@*"]}, Op.DC_CVAU),
        ("cvac", {}, Op.DC_CVAC),
        ("cisw", {}, Op.DC_CISW),
        ("zva", {}, Op.DC_ZVA),
    ],
)
def test_operations_as_they_took_effect(
    plugin_path: Path, tmp_path: Path, op: str, rules: dict[str, list[str]], recorded: Op | None
) -> None:
    """A dropped operation did not happen, a weakened one was another. Set/way has its operand."""
    path = tmp_path / "stream"
    assert run(command(tmp_path, op), path, **rules).complete
    others = (Op.IF, Op.LD, Op.ST, Op.TW, Op.DSB)
    seen = [(a.op, a.pa, a.size) for a in stream.accesses(path) if a.op not in others]
    size = 64 if op == "zva" else 0
    assert seen == ([] if recorded is None else [(recorded, DATA, size)])


def test_a_reader_that_fails_ends_the_machine(plugin_path: Path, prepared: Machine) -> None:
    def give_up(path: Path) -> None:
        with stream.Reader(path):
            raise MachineError("enough")

    with Live(give_up) as live:
        report = run(prepared.qemu_args(scenario="host"), live.path)
    assert not report.complete
    assert "stream=" in str(report.failure)
    with pytest.raises(MachineError, match="enough"):
        live.result()


def test_a_stream_that_cannot_be_written(plugin_path: Path, tmp_path: Path) -> None:
    report = run(command(tmp_path), tmp_path / "none" / "stream")
    assert not report.complete


@pytest.mark.parametrize("pes", [1, 2])
def test_a_kernel_s_stream_adds_up(plugin_path: Path, prepared: Machine, pes: int) -> None:
    """The stream has as many records of each kind as the run's own counters say.

    Those also count accesses to devices and flash, which are no RAM.
    """
    seen: Counter[tuple[int, int]] = Counter()
    platform = platforms.load("xgene-l3")
    with Live(lambda fifo: simulate(fifo, platform)) as live:
        report = run(prepared.qemu_args(scenario="host", smp=pes), live.path, "xgene-l3")
    assert report.complete, report.failure
    counts = live.result()
    for pe in counts.pes[:pes]:
        for use in Use:
            caches = pe.caches[0 if use is Use.FETCH else 1]
            seen[use, 0] += caches.hits[use] + caches.misses[use]
            seen[use, 1] += pe.uncached[use]
    data = sum(seen[use, cached] for use in (Use.LOAD, Use.STORE) for cached in (0, 1))
    assert 0.98 * report.accesses < data < 1.02 * report.accesses  # some accesses are of two lines
    fetches = sum(seen[Use.FETCH, cached] for cached in (0, 1))
    assert 0.99 * report.fetches < fetches <= report.fetches
    assert sum(seen[Use.WALK, cached] for cached in (0, 1)) <= report.walks
    assert {
        op.spelling: counts.ops[op].issued for op in Op if op.spelling in report.maintenance
    } == (report.maintenance)
    assert counts.pes[0].redirtied > 0
    assert sum(counts.pes[0].caches[0].induced) > 0, "IC IVAU makes the kernel fetch again"
