"""How often what happened, in all or over time; time is counted in instructions of all PEs."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pocwatch.arch.ops import Op
from pocwatch.cost.recording.happenings import (
    Context,
    Entry,
    Fault,
    Invalidation,
    Maintenance,
    OtherExit,
    RegisterTrap,
    Touch,
)
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.record import Flag
from pocwatch.cost.recording.syndrome import FaultKind
from pocwatch.kvm.policy import Access


class FaultOf(NamedTuple):
    """What stage 2 faults are told apart by.

    `of_ram`: the guest uses that page as RAM at some time of the recording; else the hypervisor
    emulates a device there, or gives up.
    """

    of_ram: bool
    kind: FaultKind
    access: Access
    of_walk: bool


@dataclass(slots=True)
class Lines:
    """Operations, each on a line. `changed` and `dirty` as in `record.EventKind.MAINTENANCE`.

    An operation that changed nothing is redundant: whatever caches do, nobody can tell whether it was
    done. One that changed the state need not have been needed: perhaps no read came that would have
    been stale without it. `dirty` is what might have been written back; a cache that evicted the line
    before has less to do.
    """

    operations: int = 0
    changed: int = 0
    dirty: int = 0

    @property
    def redundant(self) -> int:
        """Operations that changed nothing."""
        return self.operations - self.changed


class Maintained(NamedTuple):
    """What maintenance is told apart by."""

    context: Context
    op: Op


class Use(NamedTuple):
    """What first uses of pages are told apart by: `ld` for data, `if`, `tw` for walks of stage 1."""

    op: Op
    mmu_on: bool
    past_caches: bool


@dataclass(slots=True)
class Counted:
    """Counts from instruction `start` on to before `end`.

    `first_used`: 4 KiB pages used for the first time in this way; `first_used_off` and `_on` for the
    first time in any way, with the MMU off and on: a page may be in both. `past_caches`: pages used so
    for the first time, with whatever purpose: Device, Non-cacheable or Write-Through, by attributes of
    both stages and SCTLR_EL1. `blocks`: stage 2 leaf
    entries used for the first time, by size in bytes..
    """

    start: int
    end: int
    entries: int = 0
    faults: Counter[FaultOf] = field(default_factory=Counter)
    register_traps: Counter[str] = field(default_factory=Counter)  # by TVM, by register
    set_way_traps: Counter[str] = field(default_factory=Counter)  # by TSW, by operation
    other_register_traps: int = 0
    other_exits: Counter[str] = field(default_factory=Counter)
    maintenance: dict[Maintained, Lines] = field(default_factory=dict)
    dsbs: Counter[Context] = field(default_factory=Counter)
    first_used: Counter[Use] = field(default_factory=Counter)
    first_used_off: int = 0
    first_used_on: int = 0
    past_caches: int = 0
    blocks: Counter[int] = field(default_factory=Counter)
    invalidations: Counter[Context] = field(default_factory=Counter)

    def faults_of(self, kind: FaultKind, *, of_ram: bool = True) -> int:
        """Return faults of a kind."""
        return sum(n for f, n in self.faults.items() if (f.of_ram, f.kind) == (of_ram, kind))

    def lines(self, *ops: Op, context: Context | None = None) -> Lines:
        """Return the sum over some operations, in one context or in all."""
        total = Lines()
        for key, lines in self.maintenance.items():
            if key.op in ops and context in (None, key.context):
                total.operations += lines.operations
                total.changed += lines.changed
                total.dirty += lines.dirty
        return total


def guest_time(recording: Recording) -> tuple[int, int]:
    """Return when a guest was first entered and last left; both 0 if none was."""
    times = [h.time for h in recording.happenings if isinstance(h, Entry | Fault | OtherExit)]
    return (times[0], times[-1]) if times else (0, 0)


def over_time(recording: Recording, slices: int) -> list[Counted]:
    """Return counts of as many slices of equal length, from the first entry to the last exit.

    What came before and after is not in them.
    """
    first, last = guest_time(recording)
    edges = [first + (last + 1 - first) * n // slices for n in range(slices + 1)]
    return counted(recording, edges)[1:-1]


def counted(recording: Recording, edges: Sequence[int] = ()) -> list[Counted]:
    """Return counts between the given times, and before the first and behind the last of them."""
    bounds = [0, *edges, recording.end + 1]
    slices = [Counted(*pair) for pair in itertools.pairwise(bounds)]
    ram = {(h.vm, h.ipa) for h in recording.happenings if isinstance(h, Touch)}
    used = _Used()
    for h in recording.happenings:
        at = slices[bisect_right(edges, h.time)]
        match h:
            case Entry():
                at.entries += 1
            case Fault():
                of_ram = (h.vm, h.ipa) in ram
                at.faults[FaultOf(of_ram, h.abort.kind, h.abort.access, h.abort.of_walk)] += 1
            case RegisterTrap() if h.access.by_tvm:
                at.register_traps[h.access.name] += 1
            case RegisterTrap() if h.access.by_tsw:
                at.set_way_traps[h.access.name] += 1
            case RegisterTrap():
                at.other_register_traps += 1
            case OtherExit():
                at.other_exits[h.reason] += 1
            case Maintenance():
                lines = at.maintenance.setdefault(Maintained(h.context, h.op), Lines())
                lines.operations += h.count
                lines.changed += h.changed
                lines.dirty += h.dirty
            case Touch():
                used.touch(h, at)
            case Invalidation():
                at.invalidations[h.context] += 1
    for time, context, n in recording.dsbs:
        slices[bisect_right(edges, time)].dsbs[context] += n
    return slices


class _Used:
    """Which pages and blocks were used before."""

    def __init__(self) -> None:
        self._uses: set[tuple[int, int, Use]] = set()
        self._pages: set[tuple[int, int, bool]] = set()
        self._past_caches: set[tuple[int, int]] = set()
        self._blocks: set[tuple[int, int, int]] = set()

    def touch(self, h: Touch, at: Counted) -> None:
        """Count what is new about a use."""
        on, past = bool(h.flags & Flag.MMU_ON), bool(h.flags & Flag.PAST_CACHES)
        use, page = (h.vm, h.ipa, Use(h.op, on, past)), (h.vm, h.ipa, on)
        block = h.vm, h.ipa // h.block_bytes, h.block_bytes
        if use not in self._uses:
            self._uses.add(use)
            at.first_used[use[2]] += 1
        if page not in self._pages:
            self._pages.add(page)
            at.first_used_on += on
            at.first_used_off += not on
        if past and page[:2] not in self._past_caches:
            self._past_caches.add(page[:2])
            at.past_caches += 1
        if block not in self._blocks:
            self._blocks.add(block)
            at.blocks[h.block_bytes] += 1
