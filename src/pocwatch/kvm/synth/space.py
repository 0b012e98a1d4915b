"""The space of policies that is searched: hooks, conditions, operations, choices.

A policy of the space does, at each site (a hook under a condition), a short program: clean by set/way,
clean by VA, DSB, the outer cache, instruction cache maintenance, DSB, ISB. Each place of the program is
a slot that holds one of a few operations, or nothing. The operations of a slot are ordered by what they
do; nothing does least.

Left out: DC IVAC and ISW, which may discard what was written; operations that cannot do anything on the
platform (set/way among several PEs, CVAU with IDC, IC with DIC), so "no DIC" needs no condition of its
own; conditions on the operation before. HCR_EL2.FB is always set, as KVM and Xen have it.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Op
from pocwatch.kvm.policy import HOOKS, Access, AtEl2, Choices, Occasion, Operation
from pocwatch.line import model
from pocwatch.line.pending import supersedes, without_effect
from pocwatch.platforms import ICache, Platform


class When(enum.Enum):
    """The condition of a site, on the vCPU concerned."""

    ALWAYS = "always"
    CACHES_OFF = "MMU or caches off"
    CACHES_ON = "MMU and caches on"


class Role(enum.IntEnum):
    """The places of a site's program, in program order."""

    SET_WAY = 0
    DATA = 1
    DATA_BARRIER = 2
    OUTER = 3
    INSTRUCTION = 4
    INSTRUCTION_BARRIER = 5
    SYNCHRONISATION = 6


class Slot(NamedTuple):
    """One place: those of the instruction side only act for entries that are, or become, executable."""

    hook: str
    when: When
    role: Role


_CONDITIONAL = frozenset({"at_data_fault", "at_prefetch_fault", "at_map", "at_mmu_trap"})
_OF_ENTRIES = frozenset({"at_data_fault", "at_prefetch_fault", "at_map", "at_change_pte"})
_INSTRUCTION_SIDE = (Role.INSTRUCTION, Role.INSTRUCTION_BARRIER, Role.SYNCHRONISATION)
SEARCHED_CHOICES = (
    "forces_wb",
    "default_cacheable",
    "traps_mmu",
    "traps_set_way",
    "executable_on_fetch",
    "unmaps_at_reset",
)

Options = tuple[Operation | None, ...]
"""What a slot may hold, `None` (nothing) first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy of a space: choices, and for each slot the index of its option."""

    choices: Choices
    chosen: tuple[int, ...]


class Part(NamedTuple):
    """One operation of a policy, where and when it is done."""

    slot: Slot
    operation: Operation


@dataclass(frozen=True, slots=True)
class Space:
    """Slots with their options, and the combinations of choices."""

    platform: Platform
    slots: tuple[Slot, ...]
    options: tuple[Options, ...]
    choices: tuple[Choices, ...]

    @property
    def size(self) -> int:
        """The number of policies."""
        return len(self.choices) * math.prod(map(len, self.options))

    def nothing(self, choices: Choices) -> Candidate:
        """Return the policy that only makes choices."""
        return Candidate(choices, (0,) * len(self.slots))

    def everything(self, choices: Choices) -> Candidate:
        """Return the policy that does all it can."""
        return Candidate(choices, tuple(len(options) - 1 for options in self.options))

    def no_more(self, slot: int, one: int, other: int) -> bool:
        """Return whether option `one` of a slot does nothing that `other` does not."""
        options = self.options[slot]
        return _no_more(self.platform, options[one], options[other])

    def parts(self, candidate: Candidate) -> list[Part]:
        """Return the operations of a policy, in order of hooks and programs."""
        found = []
        for slot, options, index in zip(self.slots, self.options, candidate.chosen, strict=True):
            operation = options[index]
            if operation is not None:
                found.append(Part(slot, operation))
        return found

    def author(
        self, candidate: Candidate, name: str = "synthesised", used: set[int] | None = None
    ) -> Any:
        """Return the object to make a `policy.Policy` of.

        `used` is given the slots that are looked at when a hook is called: another policy with the same
        operations there, and the same choices, behaves the same.
        """
        members: dict[str, Any] = {"name": name, "origin": "pocwatch synth"}
        members |= {f.name: getattr(candidate.choices, f.name) for f in fields(candidate.choices)}
        for hook in dict.fromkeys(slot.hook for slot in self.slots):
            members[hook] = self._program(hook, candidate, used)
        return SimpleNamespace(**members)

    def _program(self, hook: str, candidate: Candidate, used: set[int] | None) -> Any:
        known: dict[tuple[bool, bool], tuple[tuple[int, ...], tuple[Operation, ...]]] = {}

        def operations(occasion: Occasion) -> tuple[Operation, ...]:
            key = (occasion.caches_on, concerns_instructions(hook, occasion))
            found = known.get(key)
            if found is None:
                slots = tuple(n for n, s in enumerate(self.slots) if s.hook == hook and _acts(s, *key))
                chosen = (self.options[n][candidate.chosen[n]] for n in slots)
                found = known[key] = slots, tuple(op for op in chosen if op is not None)
            if used is not None:
                used.update(found[0])
            return found[1]

        return operations


def concerns_instructions(hook: str, occasion: Occasion) -> bool:
    """Return whether a hook's occasion is about something executable, or may be."""
    if hook == "at_permission_fault":
        return occasion.access is Access.FETCH
    return occasion.executable or hook not in _OF_ENTRIES


def _acts(slot: Slot, caches_on: bool, instructions: bool) -> bool:
    if slot.when is not When.ALWAYS and caches_on is not (slot.when is When.CACHES_ON):
        return False
    return instructions or slot.role not in _INSTRUCTION_SIDE


def of(
    platform: Platform,
    *,
    hooks: Sequence[str] = tuple(HOOKS),
    choices: Mapping[str, Sequence[bool]] | None = None,
) -> Space:
    """Return the space of a platform; `choices`: the values to try, else all that make sense."""
    options = _options(platform)
    slots = [
        Slot(hook, when, role)
        for hook in HOOKS
        if hook in hooks
        for when in ((When.CACHES_OFF, When.CACHES_ON) if hook in _CONDITIONAL else (When.ALWAYS,))
        for role in Role
        if len(options[role]) > 1
    ]
    return Space(
        platform,
        tuple(slots),
        tuple(options[slot.role] for slot in slots),
        tuple(_choices(platform, choices or {})),
    )


def _choices(platform: Platform, given: Mapping[str, Sequence[bool]]) -> Iterator[Choices]:
    values = [given.get(name, (False, True)) for name in SEARCHED_CHOICES]
    for combination in itertools.product(*values):
        chosen = Choices(**dict(zip(SEARCHED_CHOICES, combination, strict=True)), broadcasts=True)
        if chosen.forces_wb and not platform.stage2_forces_wb:
            continue
        if chosen.default_cacheable and chosen.traps_mmu:
            continue  # HCR_EL2.DC needs the trap anyway: the same policy
        yield chosen


def _options(platform: Platform) -> dict[Role, Options]:
    if platform.stage2_forces_wb:
        platform = replace(platform, idc=True)  # as `System` has it

    def of_effect(*ops: Op) -> Options:
        useful = [op for op in ops if not without_effect(platform, op)]
        return (None, *(op for op in useful if _no_more(platform, op, useful[-1])))

    instruction: Options = (None,)
    if not platform.dic:
        ops = [Op.IC_IVAU, Op.IC_IALLU, Op.IC_IALLUIS]
        if platform.icache in (ICache.VIPT, ICache.AIVIVT):
            ops.remove(Op.IC_IVAU)  # it misses aliases at other VAs
        if platform.pes == 1:
            ops.remove(Op.IC_IALLUIS)
        at_el2 = platform.icache is ICache.VPIPT
        instruction = (None, *(AtEl2(op) if at_el2 else op for op in ops))
    outer = any(level.outer for level in platform.levels)
    return {
        Role.SET_WAY: of_effect(Op.DC_CISW),
        Role.DATA: of_effect(Op.DC_CVAU, Op.DC_CVAC, Op.DC_CIVAC),
        Role.DATA_BARRIER: (None, Op.DSB),
        Role.OUTER: (None, Op.OUTER_FLUSH) if outer else (None,),
        Role.INSTRUCTION: instruction,
        Role.INSTRUCTION_BARRIER: (None, Op.DSB) if len(instruction) > 1 else (None,),
        Role.SYNCHRONISATION: (None, Op.ISB),
    }


def _no_more(platform: Platform, one: Operation | None, other: Operation | None) -> bool:
    if one is None or one == other:
        return True
    if other is None:
        return False
    a = one.op if isinstance(one, AtEl2) else one
    b = other.op if isinstance(other, AtEl2) else other
    if a in INSTRUCTION_MAINTENANCE:  # by VA everywhere, or everything here, is less than all
        return b is Op.IC_IALLUIS or (b is Op.IC_IALLU and platform.pes == 1)
    return bool(model.maintained_levels(platform, b)) and supersedes(platform, b, a)
