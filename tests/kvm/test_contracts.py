"""What guests and user space owe in `anything`: reads they may not do before maintenance of their own.

The scenario proves a policy for every guest and user space that keep these contracts.
"""

from __future__ import annotations

import pytest
from walk import transitions

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm import vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import Script, seq
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Word, decide

XGENE = platforms.load("xgene-l3")
MAINLINE = POLICIES["mainline-2021"]
SET_ALL_ON = vcpu.sctlr(m=True, c=True, i=True)


def guest_may(*script: Script) -> bool:
    """Whether a guest under contract, its image loaded, gets through the script."""
    made = Scenario(
        "test",
        "a guest under contract",
        "none",
        (
            a_vmm(seq(vmm.write(), signal("loaded"))),
            a_vcpu(seq(wait("loaded"), vcpu.run(), *script)),
        ),
        contract=True,
    )
    system = System(made, MAINLINE, XGENE)
    ends = system.programs[1].ends
    return any(state.threads[1].at in ends for _, _, state in transitions(system))


_CASES = [
    # What it wrote cacheably it reads cacheably, but not uncached and not as instructions.
    ((SET_ALL_ON, vcpu.write()), vcpu.read(), True),
    ((SET_ALL_ON, vcpu.write()), vcpu.read_uncached(), False),
    ((SET_ALL_ON, vcpu.write()), vcpu.fetch(), False),
    ((SET_ALL_ON, vcpu.write(), vcpu.synchronise()), vcpu.read_uncached(), True),
    ((SET_ALL_ON, vcpu.write(), vcpu.synchronise()), vcpu.fetch(), True),
    # Set/way is not what the architecture asks for (A6).
    ((SET_ALL_ON, vcpu.write(), vcpu.maintain(Op.DC_CISW)), vcpu.read_uncached(), False),
    # What it wrote uncached it does not read cacheably, once caches have been on.
    ((SET_ALL_ON, vcpu.write_uncached()), vcpu.read(), False),
    ((SET_ALL_ON, vcpu.write_uncached(), vcpu.synchronise()), vcpu.read(), True),
    # Before that it may take its caches to be empty: KVM has to see to it (B1.3).
    ((vcpu.write(), SET_ALL_ON), vcpu.read(), True),
    # What user space loaded before the first run is there however it looks.
    ((), vcpu.read(), True),
    ((), vcpu.fetch(), True),
    ((SET_ALL_ON,), vcpu.read_uncached(), True),
    # A write to the neighbour makes the line dirty: it may hide what lies behind it from others.
    ((SET_ALL_ON, vcpu.write_neighbour()), vcpu.read_uncached(), False),
    ((SET_ALL_ON, vcpu.write_neighbour()), vcpu.read(), True),
]


@pytest.mark.parametrize(("script", "then", "allowed"), _CASES)
def test_the_guests_contract(script: tuple[Script, ...], then: Script, allowed: bool) -> None:
    """C10, C14, C15: a read with other attributes than those of the write takes maintenance first."""
    assert guest_may(*script)
    assert guest_may(*script, then) is allowed


def test_without_the_contract_the_same_guest_is_at_fault() -> None:
    """That the contract is needed: nothing that KVM does helps a guest that breaks it."""
    guest = seq(vcpu.run(), SET_ALL_ON, vcpu.write(), vcpu.read_uncached())
    breaks = Scenario("test", "no contract", "none", (a_vcpu(guest),))
    assert decide(breaks, MAINLINE, XGENE).verdict is Word.UNSAFE


def _vmm_may(*, ran: bool, then: Script, guest: Script | None = None) -> bool:
    """Whether the guest may do `then` after user space wrote: before it ran, or while it runs."""
    order = [signal("running"), wait("loaded")] if ran else []
    starts = [wait("running")] if ran else []
    begins = [] if ran else [wait("loaded")]
    made = Scenario(
        "test",
        "user space writes",
        "none",
        (
            a_vmm(seq(*starts, vmm.write(), signal("loaded"))),
            a_vcpu(seq(*begins, vcpu.run(), SET_ALL_ON, *order, *([guest] if guest else []), then)),
        ),
        contract=True,
    )
    system = System(made, MAINLINE, XGENE)
    ends = system.programs[1].ends
    return any(state.threads[1].at in ends for _, _, state in transitions(system))


@pytest.mark.parametrize(
    ("then", "before_the_run", "while_it_runs"),
    [
        (vcpu.read(), True, True),
        (vcpu.read_uncached(), True, False),
        (vcpu.fetch(), True, False),
    ],
)
def test_user_spaces_contract(then: Script, before_the_run: bool, while_it_runs: bool) -> None:
    """A21: before the first run KVM answers for it; later user space is a coherent device."""
    assert _vmm_may(ran=False, then=then) is before_the_run
    assert _vmm_may(ran=True, then=then) is while_it_runs
    assert _vmm_may(ran=True, then=then, guest=vcpu.synchronise())


def test_user_space_does_not_read_what_the_guest_wrote_uncached() -> None:
    """The guest, told of a coherent device, writes for it cacheably (B7); else it cleans."""
    for write, reads in ((vcpu.write(), True), (vcpu.write_uncached(), False)):
        made = Scenario(
            "test",
            "user space reads",
            "none",
            (
                a_vmm(seq(wait("written"), vmm.read())),
                a_vcpu(seq(vcpu.run(), SET_ALL_ON, write, signal("written"))),
            ),
            contract=True,
        )
        system = System(made, MAINLINE, XGENE)
        ends = system.programs[0].ends
        assert any(s.threads[0].at in ends for _, _, s in transitions(system)) is reads
