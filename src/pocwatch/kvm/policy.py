"""What a policy is: the cache maintenance that a hypervisor does, and when.

A policy is an object with a `name`, an `origin`, and any of the hooks and choices below; what it leaves
out is nothing done. A choice is True or False, or a method that says so for a platform. A hook gets an
`Occasion` and returns operations (`arch.ops.Op`), in program order, barriers included. Operations by VA
work on the pages that the hook is about; those by set/way, of whole instruction caches and of outer
caches work on everything they reach.
"""

from __future__ import annotations

import difflib
import enum
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    Op,
)
from pocwatch.platforms import Platform


class PolicyError(ValueError):
    """A policy that does not make sense; the message is for its author."""


class Access(enum.Enum):
    """What the guest was doing when it faulted."""

    READ = "read"
    WRITE = "write"
    FETCH = "instruction fetch"


class Occasion(NamedTuple):
    """What the kernel knows when a hook is called.

    `access` is None outside faults. `caches_on`: the vCPU concerned has SCTLR_EL1.M and C set (after
    the change, in `at_mmu_trap`). `executable`: the entry about to be published is.
    """

    platform: Platform
    access: Access | None = None
    caches_on: bool = False
    executable: bool = False


class AtEl2(NamedTuple):
    """An operation executed at EL2 under the guest's VMID: a VMID-tagged I-cache obeys it."""

    op: Op


Operation = Op | AtEl2

HOOKS: dict[str, str] = {
    "at_slot_creation": "a memslot is created",
    "at_allocation": "a page was allocated and zeroed for the guest",
    "at_user_space_write": "user space wrote guest RAM (runs in user space)",
    "at_first_run": "before the VM's first KVM_RUN, over all pages present",
    "at_data_fault": "a translation fault on a read or write",
    "at_prefetch_fault": "a translation fault on an instruction fetch",
    "at_permission_fault": "a permission fault: a write to, or a fetch from, a page mapped without",
    "at_map": "before an entry is published that was not valid, whoever maps it",
    "at_change_pte": "an MMU notifier replaces the page (kvm_set_spte_hva), before it is mapped",
    "at_unmap": "an entry was cleared and the TLB invalidated",
    "at_mmu_trap": "a trapped write of SCTLR_EL1 that changes whether M and C are both set",
    "at_set_way_trap": "the first trapped set/way operation since caches were last on",
    "at_reset": "a vCPU that ran is initialised again, over all pages mapped",
    "at_vcpu_load": "a vCPU comes to a PE where another of its VM ran last",
}

CHOICES: dict[str, str] = {
    "forces_wb": "HCR_EL2.FWB, and stage 2 entries that force Write-Back",
    "default_cacheable": "HCR_EL2.DC until the guest sets SCTLR_EL1.M",
    "traps_mmu": "HCR_EL2.TVM until SCTLR_EL1.M and C are both set",
    "traps_set_way": "HCR_EL2.TSW",
    "executable_on_fetch": "pages are mapped execute-never until they are fetched from",
    "unmaps_at_reset": "all pages are unmapped when a vCPU that ran is initialised again",
    "broadcasts": "HCR_EL2.FB: the guest's local maintenance reaches all PEs (default: True)",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What a policy chose for a platform; see CHOICES."""

    forces_wb: bool
    default_cacheable: bool
    traps_mmu: bool
    traps_set_way: bool
    executable_on_fetch: bool
    unmaps_at_reset: bool
    broadcasts: bool


_KNOWN = ("name", "origin", "needs", "not_applicable", *HOOKS, *CHOICES)
_ACCEPTED = frozenset(
    {*DATA_MAINTENANCE, *INSTRUCTION_MAINTENANCE, *OUTER_MAINTENANCE, Op.DMB, Op.DSB, Op.ISB}
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as the model uses it: an author's object, checked."""

    author: Any
    name: str
    origin: str

    def on(self, platform: Platform) -> Choices:
        """Return the policy's choices on a platform. Raises PolicyError."""
        chosen: dict[str, bool] = {}
        for name in CHOICES:
            value = getattr(self.author, name, name == "broadcasts")
            if callable(value):
                value = _called(self.name, name, value, platform)
            if not isinstance(value, bool):
                raise PolicyError(
                    f"policy {self.name!r}: {name} is {value!r} ({_source(type(self.author))}): it "
                    "takes True, False or a method of a platform that returns one of them"
                )
            chosen[name] = value
        return Choices(**chosen)

    def has(self, hook: str) -> bool:
        """Return whether the author wrote this hook."""
        return hasattr(self.author, hook)

    def operations(self, hook: str, occasion: Occasion) -> tuple[Operation, ...]:
        """Return what the hook does. Raises PolicyError, with file and line, if it cannot be used."""
        method = getattr(self.author, hook, None)
        if method is None:
            return ()
        answer = _called(self.name, hook, method, occasion)
        if not isinstance(answer, Iterable) or isinstance(answer, str):
            raise PolicyError(
                f"policy {self.name!r}: {hook} returned {answer!r} ({_source(method)}): it takes a "
                "tuple of operations"
            )
        # A generator's body runs here.
        operations: tuple[Any, ...] = _called(
            self.name, hook, lambda _: tuple(answer), occasion, method
        )
        for operation in operations:
            op = operation.op if isinstance(operation, AtEl2) else operation
            if not isinstance(op, Op) or op not in _ACCEPTED:
                raise PolicyError(
                    f"policy {self.name!r}: {hook} returned {operation!r} ({_source(method)}): "
                    "accepted are members of pocwatch.arch.ops.Op that are maintenance or barriers"
                )
        return operations

    def why_not(self, platform: Platform, scenario: str) -> str | None:
        """Return why the policy does not apply there, or None.

        The author says so in `needs(platform)` and, by scenario, in `not_applicable`.
        """
        needs = getattr(self.author, "needs", None)
        if needs is not None and (reason := _called(self.name, "needs", needs, platform)):
            return str(reason)
        if self.on(platform).forces_wb and not platform.stage2_forces_wb:
            return f"{platform.name} has no FEAT_S2FWB"
        reasons: dict[str, str] = getattr(self.author, "not_applicable", {})
        return reasons.get(scenario)


def of(author: Any) -> Policy:
    """Return the policy that an author's object describes. Raises PolicyError."""
    if inspect.isclass(author):
        author = _called(author.__name__, "making one", lambda _: author(), None, author)
    for required in ("name", "origin"):
        if not hasattr(author, required):
            raise PolicyError(
                f"policy {type(author).__name__} ({_source(type(author))}) has no {required!r}: "
                "it takes a text"
            )
    for attribute in sorted(a for a in dir(author) if not a.startswith("_")):
        _check_attribute(author, attribute)
    for required in ("name", "origin"):
        if not isinstance(getattr(author, required), str):
            raise PolicyError(
                f"policy {type(author).__name__} ({_source(type(author))}): {required} is "
                f"{getattr(author, required)!r}: it takes a text"
            )
    return Policy(author, author.name, author.origin)


def _check_attribute(author: Any, name: str) -> None:
    """Raise for what would silently be no hook and no choice."""
    where = f"policy {author.name!r} ({_source(type(author))})"
    value = getattr(author, name)
    if name.startswith("at_") and name not in HOOKS:
        raise PolicyError(
            f"{where} has a hook {name!r}: there is no such occasion; {_near(name, HOOKS)}"
        )
    if (name in HOOKS or name == "needs") and not callable(value):
        takes = "an Occasion" if name in HOOKS else "a Platform"
        raise PolicyError(f"{where}: {name} is {value!r}: it takes a method of {takes}")
    if name == "not_applicable" and not isinstance(value, Mapping):
        raise PolicyError(
            f"{where}: {name} is {value!r}: it takes a dictionary, reasons by names of scenarios"
        )
    if name not in _KNOWN and (close := difflib.get_close_matches(name, _KNOWN, 1, 0.8)):
        raise PolicyError(
            f"{where}: {name} is no hook and no choice; {close[0]} is: if it is something of your "
            "own, let its name begin with _"
        )


def _called(policy: str, what: str, method: Any, argument: Any, author: Any = None) -> Any:
    try:
        return method(argument)
    except Exception as error:
        raise PolicyError(
            f"policy {policy!r}: {what} raised {type(error).__name__}: {error} "
            f"({_place_of(error, author or method)})"
        ) from error


def _near(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, 3, 0.4)
    return f"near matches: {', '.join(close)}" if close else f"accepted are {', '.join(known)}"


def _source(thing: Any) -> str:
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return "no source"


def _place_of(error: Exception, method: Any) -> str:
    place = error.__traceback__
    frames = []
    while place is not None:
        frames.append((place.tb_frame.f_code.co_filename, place.tb_lineno))
        place = place.tb_next
    try:
        mine = inspect.getsourcefile(method)
    except TypeError:
        mine = None
    for filename, number in reversed(frames):
        if filename == mine:
            return f"{filename}:{number}"
    return _source(method)
