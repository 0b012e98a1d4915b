"""The state of the modelled system, as plain hashable records.

One guest page per VM is followed: one memslot of one page, with whatever physical page backs it. That
stands for guest RAM of any size, because pages do not influence each other (docs/model-checkers.md).
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from pocwatch.kvm.guest import Sctlr
from pocwatch.line.word import Step

NOT_RESIDENT = -1


class Owed(enum.IntFlag):
    """Reads that the guest may not do before maintenance of its own: its part of the contract."""

    NONE = 0
    WB = 1
    NC = 2
    FETCH_WB = 4
    FETCH_NC = 8
    VMM = 16  # the VMM's reads: it sees what the guest writes cacheably


OWED_FETCHES = Owed.FETCH_WB | Owed.FETCH_NC


class Slot(NamedTuple):
    """A VM's memslot and its stage 2 entry.

    `page`: the physical page behind it, or NOT_RESIDENT; `swapped`: its content is on the swap device.
    `shared`: the host's own entry is read-only, a write breaks the sharing. `fetched`: the guest may
    have fetched from it under its VMID. `warm`: some vCPU has had its caches on since the VM was started
    or reset.
    """

    exists: bool = True
    page: int = NOT_RESIDENT
    swapped: bool = False
    shared: bool = False
    mapped: bool = False
    writable: bool = False
    executable: bool = False
    ran: bool = False
    fetched: bool = False
    warm: bool = False
    owed: Owed = Owed.NONE

    @property
    def is_resident(self) -> bool:
        """Whether a physical page is behind it."""
        return self.page != NOT_RESIDENT


class Vcpu(NamedTuple):
    """A vCPU: SCTLR_EL1, HCR_EL2.{DC, TVM}, the PE it is on, whether it is in KVM_RUN."""

    pe: int
    running: bool = False
    sctlr: Sctlr = Sctlr()
    dc: bool = False
    tvm: bool = False


class Thread(NamedTuple):
    """Where an agent is: in its script, and in the kernel's work on its behalf."""

    at: int
    work: tuple[object, ...] = ()  # kernel.Work still to be done, next first


class Verdict(enum.Enum):
    """What is wrong in a state: it is the last one of its run."""

    UNSAFE = "unsafe"
    LEAK = "leak"


class State(NamedTuple):
    """All that the model knows at one moment."""

    lines: tuple[int, ...]  # per physical page, see lines.Lines
    scrubbed: tuple[bool, ...]  # per physical page: nobody wrote since the kernel zeroed it
    slots: tuple[Slot, ...]  # per VM
    vcpus: tuple[Vcpu, ...]
    loaded: tuple[tuple[int, ...], ...]  # per PE: for each VM the vCPU that ran last there, latest first
    threads: tuple[Thread, ...]  # per agent
    flags: frozenset[str] = frozenset()  # that agents of the scenario have raised
    broken: Verdict | None = None


class Action(NamedTuple):
    """A step of an agent: what happened, why, and what the caches of which page saw of it."""

    agent: str
    event: str
    why: str = ""
    steps: tuple[tuple[int, Step], ...] = ()  # (physical page, what its line saw)
    read: str | None = None  # verdict of the read that is judged, the last of `steps`
