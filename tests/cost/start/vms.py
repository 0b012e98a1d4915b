"""Small VMs and their prices, for the tests of this folder."""

from __future__ import annotations

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.start import option, vm
from pocwatch.cost.start.boot import Boot
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.vm import Vm
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Policy

MIB = 1 << 20
LINES_OF_MIB = MIB // 64


def small(ram_mib: int = 64, **more: int) -> Vm:
    """64 MiB in 4 KiB pages; an image of 8 MiB, which is what xgene-l3's L3 holds; 16 MiB touched."""
    sizes = {"image_bytes": 8 * MIB, "touched_bytes": 16 * MIB, "vcpus": 4, **more}
    return vm.make(ram_mib * MIB, **sizes)  # type: ignore[arg-type]


def priced(
    policy: str | Policy, machine: Vm | None = None, platform: str = "xgene-l3", costs: str = "default"
) -> list[Outcome]:
    return option.outcomes(
        POLICIES[policy] if isinstance(policy, str) else policy,
        platforms.load(platform),
        model.load(costs),
        Boot(),
        machine or small(),
        seed=0,
    )
