"""The scenarios that policies are synthesised for: the shipped ones, and one that closes a loophole.

The shipped `icache-isolation` writes its code once, before it is first executed. A policy that cleans to
the PoC when a page becomes executable gets by with that; a guest that writes code again shows it.
"""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm import vcpu
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenarios import SCENARIOS as SHIPPED
from pocwatch.kvm.script import repeat, seq

ICACHE_ISOLATION_AGAIN = Scenario(
    "icache-isolation-again",
    "As icache-isolation; the guest executes the page before it writes its code.",
    "B1.14; 01dc9262ff57 (B8.2)",
    (
        a_vcpu(
            seq(
                vcpu.run(),
                vcpu.sctlr(m=True, c=True, i=True),
                vcpu.fetch(),
                vcpu.write(),
                vcpu.maintain(Op.DC_CVAU),
                vcpu.barrier(Op.DSB),
                vcpu.maintain(Op.IC_IVAU),
                vcpu.barrier(Op.DSB),
                vcpu.barrier(Op.ISB),
                repeat(vcpu.fetch()),
            ),
            number=0,
        ),
        a_vcpu(seq(vcpu.run(), repeat(vcpu.speculate())), number=1),
    ),
)

SLOW = frozenset({"anything"})
SCENARIOS: dict[str, Scenario] = {
    **{name: s for name, s in SHIPPED.items() if name not in SLOW},
    ICACHE_ISOLATION_AGAIN.name: ICACHE_ISOLATION_AGAIN,
    **{name: s for name, s in SHIPPED.items() if name in SLOW},
}
"""By name, in the order in which policies are tried."""
