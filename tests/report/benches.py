"""A small bench for the tests of its renderers."""

from __future__ import annotations

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.start import option, vm
from pocwatch.cost.start.assumptions import Assumptions
from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.boot import Boot
from pocwatch.cost.start.safety import judge
from pocwatch.kvm.policies import POLICIES

SMALL = ("pou-on-fault", "poc-on-fault", "clean-ram-at-first-run", "user-space", "mainline-2021", "fwb")


def bench(
    *names: str, ram_mib: tuple[int, ...] = (64, 1024, 16384), platform: str = "xgene-l3",
    page: int = 4096, vcpus: tuple[int, ...] = (4,), costs: str = "default",
) -> Bench:  # fmt: skip
    machine, cost_set = platforms.load(platform), model.load(costs)
    safety = {name: judge(POLICIES[name], machine) for name in names or SMALL}
    outcomes = [
        outcome
        for n in vcpus
        for size in ram_mib
        for name, said in safety.items()
        if said.why_not is None
        for outcome in option.outcomes(
            POLICIES[name], machine, cost_set, Boot(), vm.make(size << 20, page, vcpus=n), 0
        )
    ]
    return Bench(machine, cost_set, Assumptions(), 0, tuple(outcomes), safety)
