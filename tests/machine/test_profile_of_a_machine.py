"""The profile of a bare-metal program whose operations are counted by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Hashable
from pathlib import Path

import pytest

from pocwatch.arch.ops import Op
from pocwatch.cost import model
from pocwatch.report import profile as report_profile
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options
from pocwatch.sanitizer.profile import CallSite, Profile
from pocwatch.sanitizer.recording import record
from pocwatch.sanitizer.replaying import replay
from pocwatch.sanitizer.stacks import function

pytestmark = pytest.mark.machine

START = 0x4020_0000

# With the MMU on, `cleaner` is called by `once` for 8 lines that were just written, and by `again` for
# the same lines, of which nothing was written since; `publish` makes 4 lines of instructions known to
# the instruction side, and cleans them to the PoC afterwards. A set/way operation is not judged.
PROGRAM = """
    .text
    .macro function name
    .type \\name, %function
\\name:
    .endm
    .global _start
function _start
    ldr x0, =stack_top
    mov sp, x0
    mov x29, #0
    mov x30, #0
    ldr x0, =table
    msr ttbr0_el1, x0
    ldr x1, =0x80803519   // T0SZ 25, WB WA, 4 KiB; no TTBR1 walks
    msr tcr_el1, x1
    mov x1, #0xff         // Attr0 Write-Back
    msr mair_el1, x1
    isb
    mov x2, #0x1005       // M, C, I
    mrs x1, sctlr_el1
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    bl once
    bl again
    bl publish
    ldr w0, =0x84000008   // PSCI SYSTEM_OFF
    hvc #0
    b .
    .ltorg
    .size _start, . - _start

function once
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    ldr x0, =data
    mov x2, #8
1:  str x0, [x0]
    bl cleaner
    add x0, x0, #64
    subs x2, x2, #1
    b.ne 1b
    ldp x29, x30, [sp], #16
    ret
    .size once, . - once

function again
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    ldr x0, =data
    mov x2, #8
1:  bl cleaner
    add x0, x0, #64
    subs x2, x2, #1
    b.ne 1b
    ldp x29, x30, [sp], #16
    ret
    .size again, . - again

function cleaner
    dc civac, x0
    dsb sy
    ret
    .size cleaner, . - cleaner

function publish
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    ldr x0, =code
    mov x2, #4
1:  str x0, [x0]
    dc cvau, x0
    dsb sy
    ic ivau, x0
    dsb sy
    dc cvac, x0
    dsb sy
    add x0, x0, #64
    subs x2, x2, #1
    b.ne 1b
    mov x0, #0
    dc csw, x0
    dsb sy
    ldp x29, x30, [sp], #16
    ret
    .ltorg
    .size publish, . - publish

    .balign 4096
table:
    .quad 0
    .quad 0x40000701      // 1 GiB at 1 GiB: Attr0, accessed, inner shareable
    .fill 510, 8, 0
data:
    .fill 64, 8, 0
code:
    .fill 64, 8, 0
    .balign 4096
    .fill 512, 8, 0
stack_top:
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    source, program = folder / "program.s", folder / "program"
    source.write_text(PROGRAM)
    for words in (
        ("as", "-o", f"{program}.o", source),
        ("ld", f"-Ttext={START:#x}", "-o", f"{program}.elf", f"{program}.o"),
        ("objcopy", "-O", "binary", f"{program}.elf", program),
    ):
        subprocess.run([f"aarch64-linux-gnu-{words[0]}", *words[1:]], check=True)
    return program


def machine(program: Path) -> list[str]:
    loaders = (
        f"loader,file={program},addr={START:#x},force-raw=on",
        f"loader,addr={START:#x},cpu-num=0",
    )
    return [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "64M"),
        *("-nodefaults", "-display", "none"),
        *(word for each in loaders for word in ("-device", each)),
    ]


def profiled(program: Path, platform: str, stacks: int = 16) -> Profile:
    command = machine(program)
    found: list[Profile] = []
    options = Options(
        command, platform, symbols=[f"{program}.elf"], stacks=stacks, profile=found.append
    )
    report = launch.run(launch.plan(options), lambda _: None)
    assert report.complete, report.failure
    (profile,) = found
    return profile


def names(site: CallSite) -> str:
    return ";".join(str(function(frame.symbol)) for frame in reversed(site.stack))


def told(profile: Profile) -> dict[tuple[str, Op], tuple[int, int, int, int]]:
    """Count, judged, redundant, lines by call stack and operation."""
    return {(names(s), s.op): (s.count, s.judged, s.redundant, s.lines) for s in profile.sites}


@pytest.mark.parametrize(
    ("platform", "to_pou", "to_poc"),
    [
        ("cortex-a57-up", 0, 0),  # the clean to the PoU leaves L2 dirty
        ("xgene-l3-up", 0, 0),
        ("neoverse-dic", 4, 0),  # nothing to do for the instruction side (IDC, DIC)
    ],
)
def test_counted_by_hand(
    plugin_path: Path, program: Path, platform: str, to_pou: int, to_poc: int
) -> None:
    """What is clean everywhere is the same as what no cache has: to clean it again is redundant."""
    assert told(profiled(program, platform)) == {
        ("_start;once;cleaner", Op.DC_CIVAC): (8, 8, 0, 8),
        ("_start;again;cleaner", Op.DC_CIVAC): (8, 8, 8, 8),
        ("_start;publish", Op.DC_CVAU): (4, 4, to_pou, 4),
        ("_start;publish", Op.IC_IVAU): (4, 4, to_pou, 4),
        ("_start;publish", Op.DC_CVAC): (4, 4, to_poc, 4),
        ("_start;publish", Op.DC_CSW): (1, 0, 0, 0),
    }


@pytest.mark.parametrize("stacks", [0, 1])
def test_call_sites_without_callers(plugin_path: Path, program: Path, stacks: int) -> None:
    """The two callers of `cleaner` are one call site then, with each line once."""
    found = told(profiled(program, "cortex-a57-up", stacks))
    assert found["cleaner", Op.DC_CIVAC] == (16, 16, 8, 8)


def counts(profile: Profile) -> dict[Hashable, tuple[object, ...]]:
    """Everything that is said of each call site."""
    return {
        s.place: (s.count, s.judged, s.dirty, s.lines, s.redundant, dict(s.needed))
        for s in profile.sites
    }


def test_a_replay_counts_as_the_machine_does(
    plugin_path: Path, program: Path, tmp_path: Path
) -> None:
    names = ["cortex-a57-up", "xgene-l3-up", "neoverse-dic"]
    trace = tmp_path / "trace.parquet"
    asked = record.Options(machine(program), trace, names, [f"{program}.elf"])
    recorded = record.run(record.plan(asked), lambda _: None, lambda _progress, _size: None)
    assert recorded.report.complete, recorded.report.failure
    replayed: list[Profile] = []
    options = replay.Options(trace, profile=replayed.append)
    list(replay.run(replay.plan(options), lambda _done, _of: None))
    assert [profile.platforms for profile in replayed] == [(name,) for name in names]
    for name, profile in zip(names, replayed, strict=True):
        assert counts(profile) == counts(profiled(program, name))
        assert told(profile)["_start;publish", Op.DC_CSW] == (1, 0, 0, 0)


def test_folded_and_table(plugin_path: Path, program: Path) -> None:
    profile, costs = profiled(program, "cortex-a57-up"), model.load()
    assert report_profile.folded(profile, costs) == (
        "_start;again;cleaner;dc civac 8\n"
        "_start;once;cleaner;dc civac 8\n"
        "_start;publish;dc csw 1\n"
        "_start;publish;dc cvac 4\n"
        "_start;publish;dc cvau 4\n"
        "_start;publish;ic ivau 4\n"
    )
    assert report_profile.folded(profile, costs, "redundant") == "_start;again;cleaner;dc civac 8\n"
    first = report_profile.rows(profile, costs)[0]
    assert names(first.site) == "_start;again;cleaner"
    assert first.cost == first.waste


def test_on_which_platforms(plugin_path: Path, program: Path, tmp_path: Path) -> None:
    """As counted by hand above, in one command."""
    loaders = (
        f"loader,file={program},addr={START:#x},force-raw=on",
        f"loader,addr={START:#x},cpu-num=0",
    )
    asked = ["--profile-json", str(tmp_path / "p.json"), "--profile-on", "neoverse-dic,xgene-l3-up"]
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from pocwatch.cli.main import main; main()", "run", "--quiet"),
            *("--platform", "cortex-a57-up", "--symbols", f"{program}.elf", "--profile", *asked),
            *("--", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "64M"),
            *("-nodefaults", "-display", "none"),
            *(word for each in loaders for word in ("-device", each)),
        ],
        env={**os.environ, "PYTHONPATH": str(source), "POCWATCH_PLUGIN": str(plugin_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "p.json").read_text())
    assert found["platforms"] == ["cortex-a57-up", "neoverse-dic", "xgene-l3-up"]
    both = {"cortex-a57-up", "xgene-l3-up"}
    everywhere = both | {"neoverse-dic"}
    needed = {
        (site["op"], function(site["stack"][1]["symbol"])): {
            p for p, n in site["needed"].items() if n
        }
        for site in found["sites"]
    }
    assert needed == {
        ("dc civac", "once"): everywhere,
        ("dc civac", "again"): set(),
        ("dc cvau", "_start"): both,
        ("ic ivau", "_start"): both,
        ("dc cvac", "_start"): everywhere,
        ("dc csw", "_start"): set(),
    }
    assert "needed on cortex-a57-up, neoverse-dic, xgene-l3-up\n" in done.stderr
    assert "needed on no platform\n" in done.stderr
