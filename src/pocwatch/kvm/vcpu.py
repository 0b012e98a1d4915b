"""What a guest may do on a vCPU: accesses, its own maintenance, switching its MMU and caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocwatch.arch.attributes import Normal
from pocwatch.arch.ops import DATA_MAINTENANCE, By, Kind, Op
from pocwatch.kvm import guest, kernel, lines
from pocwatch.kvm.flags import Moves
from pocwatch.kvm.guest import GUEST_NC, GUEST_WB, Sctlr, Stage2
from pocwatch.kvm.policy import Access, Occasion
from pocwatch.kvm.state import OWED_FETCHES, Action, Owed, State, Vcpu
from pocwatch.line.word import Step

if TYPE_CHECKING:
    from pocwatch.kvm.system import System

_OWED_FOR_FETCH = {Kind.WB: Owed.FETCH_WB, Kind.NC: Owed.FETCH_NC}
# Under HCR_EL2.{VM, SWIO} a guest's invalidation without clean also cleans (facts C7).
_UNDER_VM = {Op.DC_IVAC: Op.DC_CIVAC, Op.DC_ISW: Op.DC_CISW}


def _vcpu(system: System, state: State, agent: int) -> Vcpu:
    return state.vcpus[system.agents[agent].vcpu]


def _outside(system: System, state: State, agent: int) -> Moves | None:
    """Return what comes before a guest can do anything; None if it runs on its PE."""
    number = system.agents[agent].vcpu
    if not state.vcpus[number].running:
        return iter(())
    work = kernel.load(system, state, number)
    if not work:
        return None
    if system.is_locked(state):  # another vCPU may just be coming to the PE
        return iter(())
    action = Action(system.names[agent], "is scheduled")
    return iter([(action, system.with_work(state, agent, (*work, kernel.Enter(number))), False)])


def _fault(system: System, state: State, agent: int, access: Access) -> Moves:
    if system.is_locked(state):
        return
    who = system.agents[agent]
    slot = state.slots[who.vm]
    kind = "permission fault" if slot.mapped else "translation fault"
    abort = "prefetch abort" if access is Access.FETCH else "data abort"
    work = kernel.fault(system, state, who.vm, who.vcpu, access)
    action = Action(system.names[agent], f"{access.value}: stage 2 {abort}, {kind}")
    yield action, system.with_work(state, agent, work), False


def _blocked(system: System, state: State, agent: int, access: Access) -> Moves | None:
    """Return what comes before the access: loading, or a fault; None if stage 2 allows it."""
    outside = _outside(system, state, agent)
    if outside is not None:
        return outside
    slot = state.slots[system.agents[agent].vm]
    if not slot.exists:
        return iter(())
    allowed = {
        Access.READ: slot.mapped,
        Access.WRITE: slot.mapped and slot.writable,
        Access.FETCH: slot.mapped and slot.executable,
    }[access]
    return None if allowed else _fault(system, state, agent, access)


@dataclass(frozen=True, slots=True)
class _Run:
    def moves(self, system: System, state: State, agent: int) -> Moves:
        who = system.agents[agent]
        vcpu = state.vcpus[who.vcpu]
        if system.is_locked(state) or vcpu.running:
            return
        state = system.with_vcpu(state, who.vcpu, vcpu._replace(running=True))
        slot = state.slots[who.vm]
        work: tuple[kernel.Work, ...] = kernel.load(system, state, who.vcpu)
        if not slot.ran:
            occasion = Occasion(system.platform)
            work += kernel.hook(system, "at_first_run", who.vm, occasion)
            state = system.with_slot(state, who.vm, slot._replace(ran=True))
        work += (kernel.Enter(who.vcpu),)
        yield Action(system.names[agent], "KVM_RUN"), system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Read:
    mapped: Normal

    def moves(self, system: System, state: State, agent: int) -> Moves:
        blocked = _blocked(system, state, agent, Access.READ)
        if blocked is not None:
            yield from blocked
            return
        vcpu = _vcpu(system, state, agent)
        slot = state.slots[system.agents[agent].vm]
        if system.scenario.contract:
            believed = guest.data_kind(vcpu.sctlr, False, self.mapped, Stage2.NORMAL)
            if slot.owed & (Owed.WB if believed is Kind.WB else Owed.NC):
                return
        kind = guest.data_kind(vcpu.sctlr, vcpu.dc, self.mapped, system.stage2)
        step = lines.load(vcpu.pe, kind)
        yield *system.judge(state, agent, "reads", _why(vcpu, kind), slot.page, step), True


@dataclass(frozen=True, slots=True)
class _Write:
    mapped: Normal
    offset: int

    def moves(self, system: System, state: State, agent: int) -> Moves:
        blocked = _blocked(system, state, agent, Access.WRITE)
        if blocked is not None:
            yield from blocked
            return
        vm = system.agents[agent].vm
        vcpu = _vcpu(system, state, agent)
        slot = state.slots[vm]
        kind = guest.data_kind(vcpu.sctlr, vcpu.dc, self.mapped, system.stage2)
        if system.scenario.contract:
            believed = guest.data_kind(vcpu.sctlr, False, self.mapped, Stage2.NORMAL)
            if slot.owed & (Owed.WB if believed is Kind.WB else Owed.NC):
                return
            if self.offset:
                owed = slot.owed | (Owed.NC if believed is Kind.WB else Owed.NONE)
            elif believed is Kind.WB:
                owed = slot.owed & ~Owed.VMM | Owed.NC | OWED_FETCHES
            else:
                owed = slot.owed | OWED_FETCHES | Owed.VMM
                owed |= Owed.WB if slot.warm else Owed.NONE
            state = system.with_slot(state, vm, slot._replace(owed=owed))
        event = "writes the neighbouring cell" if self.offset else "writes"
        step = lines.store(vcpu.pe, kind, self.offset)
        yield *system.act(state, agent, event, _why(vcpu, kind), slot.page, step), True


@dataclass(frozen=True, slots=True)
class _Fetch:
    judged: bool

    def moves(self, system: System, state: State, agent: int) -> Moves:
        slot = state.slots[system.agents[agent].vm]
        if not self.judged and not (slot.mapped and slot.executable):
            return  # speculation does not fault
        blocked = _blocked(system, state, agent, Access.FETCH)
        if blocked is not None:
            yield from blocked
            return
        vcpu = _vcpu(system, state, agent)
        before: tuple[tuple[int, Step], ...] = ()
        if system.scenario.contract and self.judged:
            for believed in guest.fetch_kinds(vcpu.sctlr, False, Stage2.NORMAL):
                if slot.owed & _OWED_FOR_FETCH[believed]:
                    return
            # The architecture asks this of a PE that executes what another made coherent.
            isb = lines.step(Op.ISB, vcpu.pe)
            synchronised, state = system.act(state, agent, "", "", slot.page, isb)
            before = synchronised.steps
        for kind in guest.fetch_kinds(vcpu.sctlr, vcpu.dc, system.stage2):
            step = lines.fetch(vcpu.pe, kind)
            why = _why(vcpu, kind)
            if self.judged:
                event = "isb; executes" if before else "executes"
                action, after = system.judge(state, agent, event, why, slot.page, step)
                yield action._replace(steps=before + action.steps), after, True
            else:
                event = "fetches speculatively"
                yield *system.act(state, agent, event, why, slot.page, step), True


def _why(vcpu: Vcpu, kind: Kind) -> str:
    words = {
        Kind.WB: "Write-Back",
        Kind.WT: "Write-Through",
        Kind.NC: "Non-cacheable",
        Kind.DEV: "Device",
    }[kind]
    return f"{words}: {vcpu.sctlr}" + (", HCR_EL2.DC=1" if vcpu.dc else "")


@dataclass(frozen=True, slots=True)
class _SetSctlr:
    sctlr: Sctlr

    def moves(self, system: System, state: State, agent: int) -> Moves:
        outside = _outside(system, state, agent)
        if outside is not None:
            yield from outside
            return
        who = system.agents[agent]
        vcpu = state.vcpus[who.vcpu]
        if vcpu.sctlr == self.sctlr:
            return
        if vcpu.tvm and system.is_locked(state):
            return
        ordered = lines.step(Op.DSB, vcpu.pe), lines.step(Op.ISB, vcpu.pe)
        if not vcpu.tvm:
            changed = vcpu._replace(sctlr=self.sctlr)
            event = f"sets SCTLR_EL1 {self.sctlr}"
            action, state = system.act_on_all(state, agent, event, "dsb; msr; isb", *ordered)
            state = system.with_vcpu(state, who.vcpu, changed)
            yield action, system.warmed(state, who.vcpu), True
            return
        slot = state.slots[who.vm]
        work: list[kernel.Work] = []
        if vcpu.sctlr.caches_on != self.sctlr.caches_on and slot.mapped:
            occasion = Occasion(
                system.platform, caches_on=self.sctlr.caches_on
            )
            work += kernel.hook(system, "at_mmu_trap", who.vm, occasion)
        work += [kernel.SetSctlr(who.vcpu, self.sctlr), kernel.Enter(who.vcpu)]
        event = f"writes SCTLR_EL1 {self.sctlr}: trapped (HCR_EL2.TVM)"
        action, state = system.act_on_all(state, agent, event, "", ordered[0])
        yield action, system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Maintain:
    op: Op

    def moves(self, system: System, state: State, agent: int) -> Moves:
        by_va = self.op in system.BY_VA
        before = (
            _blocked(system, state, agent, Access.READ) if by_va else _outside(system, state, agent)
        )
        if before is not None:
            yield from before
            return
        vcpu = _vcpu(system, state, agent)
        op = _UNDER_VM.get(self.op, self.op)
        if op is Op.IC_IALLU and system.choices.broadcasts:
            op = Op.IC_IALLUIS
        maintenance = DATA_MAINTENANCE.get(op)
        if maintenance and maintenance.by is By.SET_WAY and system.choices.traps_set_way:
            yield from self._trapped(system, state, agent, vcpu)
            return
        why = "" if op is self.op else f"{self.op.spelling} acts as {op.spelling} under KVM"
        step = lines.step(op, vcpu.pe)
        if by_va:
            page = state.slots[system.agents[agent].vm].page
            yield *system.act(state, agent, self.op.spelling, why, page, step), True
        else:
            yield *system.act_on_all(state, agent, self.op.spelling, why, step), True

    def _trapped(self, system: System, state: State, agent: int, vcpu: Vcpu) -> Moves:
        if system.is_locked(state):
            return
        who = system.agents[agent]
        work: list[kernel.Work] = []
        slot = state.slots[who.vm]
        if not vcpu.tvm and not system.choices.forces_wb:
            occasion = Occasion(system.platform, caches_on=vcpu.sctlr.caches_on)
            if slot.mapped:
                work += kernel.hook(system, "at_set_way_trap", who.vm, occasion)
            work.append(kernel.TrapMmu(who.vcpu))
        work.append(kernel.Enter(who.vcpu))
        action = Action(system.names[agent], f"{self.op.spelling}: trapped (HCR_EL2.TSW)")
        yield action, system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Synchronise:
    """All of a guest's duties for a line at once; its steps need no other agent in between."""

    def moves(self, system: System, state: State, agent: int) -> Moves:
        blocked = _blocked(system, state, agent, Access.READ)
        if blocked is not None:
            yield from blocked
            return
        vm = system.agents[agent].vm
        pe = _vcpu(system, state, agent).pe
        slot = state.slots[vm]
        duties = (Op.DSB, Op.DC_CIVAC, Op.DSB, Op.IC_IVAU, Op.DSB, Op.ISB)
        action, state = system.act(
            state,
            agent,
            "; ".join(op.spelling for op in duties),
            "the guest's own duty",
            slot.page,
            *(lines.step(op, pe) for op in duties),
        )
        yield action, system.with_slot(state, vm, slot._replace(owed=Owed.NONE)), True


@dataclass(frozen=True, slots=True)
class _Mmio:
    """An access to the VGIC CPU interface, which KVM maps at stage 2 as Device."""

    op: Op

    def moves(self, system: System, state: State, agent: int) -> Moves:
        outside = _outside(system, state, agent)
        if outside is not None:
            yield from outside
            return
        vcpu = _vcpu(system, state, agent)
        kind = guest.data_kind(vcpu.sctlr, vcpu.dc, GUEST_WB, Stage2.DEVICE)
        why = _why(vcpu, kind) + ", stage 2 Device"
        page = system.MMIO_PAGE
        if self.op is Op.LD:
            step = lines.load(vcpu.pe, kind)
            yield *system.judge(state, agent, "reads a VGIC register", why, page, step), True
        else:
            step = lines.store(vcpu.pe, kind)
            yield *system.act(state, agent, "writes a VGIC register", why, page, step), True


def run() -> _Run:
    """KVM_RUN: before it a vCPU does nothing."""
    return _Run()


def read() -> _Read:
    """Read through a cacheable mapping of the guest, or with its MMU off; judged."""
    return _Read(GUEST_WB)


def read_uncached() -> _Read:
    """Read through a Non-cacheable mapping of the guest; judged."""
    return _Read(GUEST_NC)


def write() -> _Write:
    """Write through a cacheable mapping of the guest, or with its MMU off."""
    return _Write(GUEST_WB, 0)


def write_uncached() -> _Write:
    """Write through a Non-cacheable mapping of the guest."""
    return _Write(GUEST_NC, 0)


def write_neighbour() -> _Write:
    """Write another cell of the same line, as `write` does."""
    return _Write(GUEST_WB, lines.NEIGHBOUR)


def fetch() -> _Fetch:
    """Execute the instruction there; judged."""
    return _Fetch(True)


def speculate() -> _Fetch:
    """Fetch ahead, without executing it: the I-cache keeps what came."""
    return _Fetch(False)


def sctlr(*, m: bool = False, c: bool = False, i: bool = False) -> _SetSctlr:
    """Set SCTLR_EL1.{M, C, I}; with a DSB before and an ISB after."""
    return _SetSctlr(Sctlr(m, c, i))


def maintain(op: Op) -> _Maintain:
    """Execute a cache maintenance instruction; by VA: on the page."""
    return _Maintain(op)


def barrier(op: Op) -> _Maintain:
    """Execute a DMB, DSB or ISB."""
    return _Maintain(op)


def synchronise() -> _Synchronise:
    """Do all the maintenance that the architecture asks of software that changes attributes."""
    return _Synchronise()


def mmio_read() -> _Mmio:
    """Read a register of the VGIC CPU interface; judged."""
    return _Mmio(Op.LD)


def mmio_write() -> _Mmio:
    """Write a register of the VGIC CPU interface."""
    return _Mmio(Op.ST)
