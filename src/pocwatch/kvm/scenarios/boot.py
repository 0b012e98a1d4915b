"""From loading to running: images, memslots, switching the MMU and caches on, reset."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm import vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import choice, repeat, seq

LOOK = choice(vcpu.read(), vcpu.fetch())
ICACHE_ON = vcpu.sctlr(i=True)
ALL_ON = vcpu.sctlr(m=True, c=True, i=True)
OPTIONALLY_ICACHE_ON = choice(seq(), ICACHE_ON)

BOOT_IMAGE = Scenario(
    "boot-image",
    "User space loads an image; a vCPU with its MMU off reads it and executes it.",
    "the thread's problem statement; A1",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_vcpu(seq(wait("loaded"), vcpu.run(), OPTIONALLY_ICACHE_ON, repeat(LOOK))),
    ),
)

LATE_MEMSLOT = Scenario(
    "late-memslot",
    "A memslot is created and filled after the first run; the guest, its MMU off, then uses it.",
    "A5, A18",
    (
        a_vmm(
            seq(
                wait("running"),
                vmm.create_slot(),
                vmm.write(),
                signal("added"),
            )
        ),
        a_vcpu(seq(vcpu.run(), signal("running"), wait("added"), repeat(LOOK))),
    ),
    late_slots=frozenset({0}),
)

LATE_LOAD = Scenario(
    "late-load",
    "User space loads code into a page that the guest has mapped already, and tells it.",
    "A21; Xen fe6e8188f3 (B8.23)",
    (
        a_vmm(seq(vmm.write(), signal("started"), wait("asked"), vmm.write(), signal("loaded"))),
        a_vcpu(
            seq(
                wait("started"),
                vcpu.run(),
                choice(vcpu.read(), vcpu.fetch()),
                signal("asked"),
                wait("loaded"),
                repeat(LOOK),
            )
        ),
    ),
)

GUEST_ENABLES_MMU = Scenario(
    "guest-enables-mmu",
    "With its MMU off the guest reads and writes the page; it switches MMU and caches on and goes on.",
    "B1.3, B8.5",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                choice(seq(), vcpu.read()),
                choice(seq(), vcpu.write()),
                ALL_ON,
                repeat(vcpu.read()),
            )
        ),
    ),
)

GUEST_C_AFTER_M = Scenario(
    "guest-c-after-m",
    "The guest sets SCTLR_EL1.M and C in two steps, in either order, and uses its data in between.",
    "A8; FreeBSD on Xen, 878ff4fe18 (B8.20)",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                choice(seq(), vcpu.write()),
                choice(
                    seq(vcpu.sctlr(m=True), repeat(vcpu.read())),
                    seq(vcpu.sctlr(c=True), repeat(vcpu.read())),
                ),
                vcpu.sctlr(m=True, c=True),
                repeat(vcpu.read()),
            )
        ),
    ),
)

GUEST_SETWAY = Scenario(
    "guest-setway",
    "The guest cleans its caches by set/way, switches MMU and caches off, and reads what it wrote.",
    "B1.6, B8.6, B8.31",
    (
        a_vcpu(
            seq(
                vcpu.run(),
                ALL_ON,
                vcpu.write(),
                vcpu.maintain(Op.DC_CISW),
                vcpu.barrier(Op.DSB),
                vcpu.sctlr(),
                repeat(vcpu.read()),
            )
        ),
    ),
    fetches=False,
)

REBOOT = Scenario(
    "reboot",
    "User space loads a new image and resets the VM; the guest starts again with its MMU off.",
    "B1.4, B1.12",
    (
        a_vmm(
            seq(
                vmm.write(),
                signal("loaded"),
                wait("down"),
                vmm.write(),
                vmm.reset(),
                signal("loaded again"),
            )
        ),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                choice(LOOK, seq(ALL_ON, LOOK)),
                signal("down"),
                wait("loaded again"),
                vcpu.run(),
                repeat(LOOK),
            )
        ),
    ),
)
