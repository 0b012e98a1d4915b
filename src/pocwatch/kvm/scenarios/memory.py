"""What the host does to guest pages behind the guest's back: swap, copy on write, recycling."""

from __future__ import annotations

from pocwatch.kvm import host, vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import host as a_host
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import choice, repeat, seq

SWAP = Scenario(
    "swap",
    "The host swaps the page out and in, again and again, while the guest uses it with its MMU off.",
    "A22, B1.5; 363ef89f8e9b (B8.4)",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_host(repeat(host.swap_out())),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                choice(
                    seq(vcpu.write(), repeat(choice(vcpu.read(), vcpu.write()))),
                    repeat(vcpu.fetch()),
                ),
            )
        ),
    ),
)

COW = Scenario(
    "cow",
    "KSM merges the page with another of the same content; a write of the guest makes a copy again.",
    'B1.9, "Clean dcache to PoC when changing PTE due to CoW" (B8.10)',
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_host(seq(host.merge())),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                vcpu.read(),
                choice(seq(), seq(vcpu.write(), repeat(vcpu.read())), repeat(choice(vcpu.read()))),
            )
        ),
    ),
    fetches=False,
)

PAGE_RECYCLE = Scenario(
    "page-recycle",
    "A page of one VM is freed, zeroed and given to another, whose guest reads it with its MMU off.",
    "XSA-364 (B8.26); A5",
    (
        a_vcpu(
            seq(
                vcpu.run(),
                choice(vcpu.write(), seq(vcpu.sctlr(m=True, c=True, i=True), vcpu.write())),
                signal("done"),
            ),
            number=0,
        ),
        a_host(seq(wait("done"), host.destroy(0), signal("freed"))),
        a_vcpu(
            seq(wait("freed"), vcpu.run(), repeat(choice(vcpu.read(), vcpu.fetch()))),
            number=1,
            vm=1,
        ),
    ),
)
