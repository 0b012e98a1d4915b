"""Call stacks of a bare-metal program whose calls are known, and of the demonstration machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pocwatch.demo.machine import Machine
from pocwatch.report import json as report_json
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options
from pocwatch.sanitizer.stacks import function

pytestmark = pytest.mark.machine

START = 0x4020_0000

# RAM is mapped twice: Write-Back at its PA, Non-cacheable 1 GiB higher. `middle` writes, lets `clean`
# clean to the PoU only, and reads past the caches; then it writes again and lets `leaf` read, which
# makes no frame record. Functions sign their return addresses, where the CPU does that (FEAT_PAuth).
PROGRAM = """
    .arch armv8.3-a
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
    ldr x1, =0x44ff       // Attr0 Write-Back, Attr1 Non-cacheable
    msr mair_el1, x1
    isb
    ldr x2, =0x80001005   // EnIA, M, C, I
    mrs x1, sctlr_el1
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    bl outer
    ldr w0, =0x84000008   // PSCI SYSTEM_OFF
    hvc #0
    b .
    .ltorg
    .size _start, . - _start

function outer
    paciasp
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    bl middle
    ldp x29, x30, [sp], #16
    autiasp
    ret
    .size outer, . - outer

function middle
    paciasp
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    mov x3, #0x40000000
    ldr x0, =data
    str x0, [x0]
    bl clean
    ldr x1, [x0, x3]
    add x0, x0, #64
    str x0, [x0]
    bl leaf
    ldp x29, x30, [sp], #16
    autiasp
    ret
    .ltorg
    .size middle, . - middle

function clean
    dc cvau, x0
    dsb sy
    ret
    .size clean, . - clean

function leaf
    ldr x1, [x0, x3]
    ret
    .size leaf, . - leaf

    .balign 4096
table:
    .quad 0
    .quad 0x40000701      // 1 GiB at 1 GiB: Attr0, accessed, inner shareable
    .quad 0x40000705      // and at 2 GiB: Attr1
    .fill 509, 8, 0
data:
    .fill 16, 8, 0
    .balign 4096
    .fill 512, 8, 0
stack_top:
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    source, program = folder / "program.s", folder / "program"
    source.write_text(PROGRAM)
    for words in (
        ("as", "-o", f"{program}.o", source),
        ("ld", f"-Ttext={START:#x}", "-o", f"{program}.elf", f"{program}.o"),
        ("objcopy", "-O", "binary", f"{program}.elf", program),
    ):
        subprocess.run([f"aarch64-linux-gnu-{words[0]}", *words[1:]], check=True)
    return program


def run(program: Path, cpu: str = "cortex-a57", **asked: Any) -> dict[str, Any]:
    loaders = (
        f"loader,file={program},addr={START:#x},force-raw=on",
        f"loader,addr={START:#x},cpu-num=0",
    )
    command = [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", cpu, "-m", "64M"),
        *("-nodefaults", "-display", "none"),
        *(word for each in loaders for word in ("-device", each)),
    ]
    asked = {"symbols": [f"{program}.elf"], "platform": "cortex-a57-up", **asked}
    report = report_json.data(launch.run(launch.plan(Options(command, **asked)), lambda _: None))
    assert report["complete"], report["failure"]
    return report


def functions(stack: list[dict[str, Any]]) -> list[str | None]:
    return [function(frame["symbol"]) for frame in stack]


@pytest.mark.parametrize("cpu", ["cortex-a57", "max,pauth-impdef=on"])
def test_known_calls(plugin_path: Path, program: Path, cpu: str) -> None:
    """In `middle` the link register is where `clean` returned to; in `leaf`, its only trace."""
    own, leaf = run(program, cpu)["findings"]
    assert functions(own["access"]["stack"]) == ["middle", "outer", "_start"]
    assert functions(leaf["access"]["stack"]) == ["leaf", "middle", "outer", "_start"]
    (clean,) = own["maintenance"]
    assert functions(clean["stack"]) == ["clean", "middle", "outer", "_start"]
    assert own["access"]["stack"][0]["pc"] == own["access"]["pc"]


def test_depth(plugin_path: Path, program: Path) -> None:
    own, leaf = run(program, stacks=2)["findings"]
    assert functions(own["access"]["stack"]) in (["middle", "outer"], ["middle"])
    assert functions(leaf["access"]["stack"]) == ["leaf", "middle"]
    assert all(f["access"]["stack"] == [] for f in run(program, stacks=0)["findings"])


def stacks_of(report: dict[str, Any], kind: str, **access: object) -> list[list[str | None]]:
    """Stacks of the accesses of findings of a kind."""
    return [
        functions(f["access"]["stack"])
        for f in report["findings"]
        if f["kind"] == kind and access.items() <= f["access"].items()
    ]


def contains(stack: list[str | None], *names: str) -> bool:
    """Whether the functions occur in this order, innermost first; others may lie between."""
    rest = iter(stack)
    return all(name in rest for name in names)


def test_the_host_s_clean_of_a_guest_s_page(demo: Any) -> None:
    """Linux 6.1 arch/arm64/kvm: at the guest's first access, and when the guest turns its MMU on."""
    at_fault = "stage2_map_walker", "kvm_pgtable_stage2_map", "kvm_handle_guest_abort"
    at_toggle = "kvm_pgtable_stage2_flush", "stage2_flush_vm", "kvm_toggle_cache"
    cleans = {
        tuple(functions(event["stack"]))
        for finding in demo[1]["dropped"]["findings"]
        if finding["access"]["vm"]
        for event in finding["maintenance"]
        if event["rule"]
    }
    ways = [contains([*stack], "dcache_clean_inval_poc", *at_fault) for stack in cleans]
    assert any(ways)
    for stack, known in zip(cleans, ways, strict=True):
        assert known or contains([*stack], "dcache_clean_inval_poc", *at_toggle), stack


def test_the_guest_s_first_accesses_have_no_callers(demo: Any) -> None:
    found = stacks_of(demo[1]["dropped"], "stale-fetch", vm=True, mmu="off")
    assert ["primary_entry"] in found


@pytest.fixture(scope="module")
def without_cvau(watch: Any) -> dict[str, Any]:
    """Nobody cleans to the PoU: kernels, hypervisor and programs run what may be old."""
    report: dict[str, Any] = watch("cortex-a57", 1, "guest", "dc cvau@*")
    return report


@pytest.mark.parametrize("guest", [False, True])
def test_kernels(without_cvau: dict[str, Any], guest: bool) -> None:
    stacks = stacks_of(without_cvau, "stale-fetch", vm=guest, el=1)
    assert any(contains(s, "ftrace_init", "start_kernel", "__primary_switched") for s in stacks)


def test_the_hypervisor_at_el2(without_cvau: dict[str, Any]) -> None:
    """It runs the same image at other addresses (nVHE); its stack ends where the host called."""
    stacks = stacks_of(without_cvau, "stale-fetch", el=2)
    names = [f"__kvm_nvhe_{n}" for n in ("__kvm_vcpu_run", "handle___kvm_vcpu_run", "handle_trap")]
    assert any(contains(stack, *names) for stack in stacks)


@pytest.mark.parametrize("guest", [False, True])
def test_user_space(without_cvau: dict[str, Any], prepared: Machine, guest: bool) -> None:
    """busybox is stripped: each return address must follow a call in its file (BL or BLR)."""
    program = (prepared.kernel.parent / "busybox").read_bytes()
    base = 0x400000  # of a static program, file offset 0
    found = [
        [int(frame["pc"], 16) - base for frame in finding["access"]["stack"]]
        for finding in without_cvau["findings"]
        if (finding["access"]["el"], finding["access"]["vm"]) == (0, guest)
    ]
    deep = [stack for stack in found if len(stack) >= 4]
    assert deep
    for stack in deep:
        for returned in stack[1:]:
            call = int.from_bytes(program[returned - 4 : returned], "little")
            assert call >> 26 == 0b100101 or call & 0xFFFF_FC1F == 0xD63F_0000, hex(base + returned)
