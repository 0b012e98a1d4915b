"""The records of an event recording as typed values. `record.EventKind` says what each number means.

Times are instructions executed by all PEs until then; addresses are byte addresses, None where there
is none.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pocwatch.arch.ops import Op
from pocwatch.cost.recording.record import NO_ADDRESS, Event, EventKind, Flag, Vector
from pocwatch.cost.recording.syndrome import (
    Abort,
    RegisterAccess,
    abort,
    reason,
    register_access,
)


class Context(enum.Enum):
    """What a PE was doing. Behind an exit, that is until it enters a guest again: whatever else the
    host does meanwhile is in it, and after the last exit all that follows."""

    BEFORE = "before any guest"
    GUEST = "in the guest"
    FAULT = "handling a stage 2 fault"
    MMU_TRAP = "handling a TVM trap"
    SET_WAY_TRAP = "handling a TSW trap"
    OTHER_EXIT = "behind another exit"


@dataclass(frozen=True, slots=True)
class Entry:
    """A guest is entered; `vcpu` is VMPIDR_EL2."""

    time: int
    pe: int
    vm: int
    vcpu: int
    flags: Flag


@dataclass(frozen=True, slots=True)
class Fault:
    """A stage 2 abort of a guest. `flags` of the guest as it faulted."""

    time: int
    pe: int
    vm: int
    abort: Abort
    ipa: int
    flags: Flag


@dataclass(frozen=True, slots=True)
class RegisterTrap:
    """A trapped register access or set/way operation of a guest; `value` is what it writes."""

    time: int
    pe: int
    vm: int
    access: RegisterAccess
    value: int
    flags: Flag


@dataclass(frozen=True, slots=True)
class OtherExit:
    """Any other exit of a guest: an interrupt, a hypercall, ..."""

    time: int
    pe: int
    vm: int
    reason: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """`count` operations by one instruction on one page, or on none."""

    time: int
    pe: int
    vm: int
    el: int
    context: Context
    op: Op
    pa: int | None
    ipa: int | None
    pc: int
    count: int
    changed: int
    dirty: int


@dataclass(frozen=True, slots=True)
class Touch:
    """A guest's first use of a 4 KiB page in this way; `block_bytes` is stage 2's leaf."""

    time: int
    pe: int
    vm: int
    ipa: int
    pa: int
    op: Op
    block_bytes: int
    flags: Flag


@dataclass(frozen=True, slots=True)
class Written:
    """User space's writes to a page: those until the VM's first entry, or the rest (`vm` 0)."""

    time: int
    vm: int
    pa: int
    va: int
    process: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Invalidation:
    """A TLBI of stage 2 entries; `ipa` is None for all of the VM's."""

    time: int
    pe: int
    vm: int
    context: Context
    ipa: int | None


Happening = Entry | Fault | RegisterTrap | OtherExit | Maintenance | Touch | Written | Invalidation

_INTERRUPTS = {Vector.IRQ: "IRQ", Vector.FIQ: "FIQ", Vector.SERROR: "SError"}


def _address(value: int) -> int | None:
    return None if value == NO_ADDRESS else value


def _exception(e: Event) -> Happening:
    if e.detail != Vector.SYNC:
        return OtherExit(e.time, e.pe, e.vm, _INTERRUPTS[Vector(e.detail)])
    if fault := abort(e.syndrome):
        return Fault(e.time, e.pe, e.vm, fault, e.ipa, Flag(e.flags))
    if access := register_access(e.syndrome):
        return RegisterTrap(e.time, e.pe, e.vm, access, e.value, Flag(e.flags))
    return OtherExit(e.time, e.pe, e.vm, reason(e.syndrome))


def happening(e: Event, context: Context) -> Happening | None:
    """Return what a record tells; None for the end."""
    match e.kind:
        case EventKind.ENTRY:
            return Entry(e.time, e.pe, e.vm, e.value, Flag(e.flags))
        case EventKind.EXCEPTION:
            return _exception(e)
        case EventKind.MAINTENANCE:
            where = _address(e.pa), _address(e.ipa), e.va
            counts = e.count, e.changed, e.dirty
            return Maintenance(e.time, e.pe, e.vm, e.el, context, Op(e.op), *where, *counts)
        case EventKind.TOUCH:
            size, flags = 1 << e.detail, Flag(e.flags)
            return Touch(e.time, e.pe, e.vm, e.ipa, e.pa, Op(e.op), size, flags)
        case EventKind.WRITTEN:
            return Written(e.time, e.vm, e.pa, e.va, e.value, e.count)
        case EventKind.TLBI:
            return Invalidation(e.time, e.pe, e.vm, context, _address(e.ipa))
    return None


def context_after(happened: Happening | None, before: Context) -> Context:
    """Return what the PE does from then on."""
    match happened:
        case Entry():
            return Context.GUEST
        case Fault():
            return Context.FAULT
        case RegisterTrap(access=access) if access.by_tvm:
            return Context.MMU_TRAP
        case RegisterTrap(access=access) if access.by_tsw:
            return Context.SET_WAY_TRAP
        case RegisterTrap() | OtherExit():
            return Context.OTHER_EXIT
    return before
