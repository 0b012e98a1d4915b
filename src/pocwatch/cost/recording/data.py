"""Counts of a recording as JSON: the tables' numbers by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pocwatch.cost.recording.counted import Counted
from pocwatch.cost.recording.later_use import later_use
from pocwatch.cost.recording.ram import GuestRam
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.replay import Replayed


def of_counts(c: Counted) -> dict[str, Any]:
    """Return counts; `start` and `end` are times in instructions."""
    return {
        "start": c.start,
        "end": c.end,
        "entries": c.entries,
        "faults": [
            {
                "of_ram": fault.of_ram,
                "kind": fault.kind.value,
                "access": fault.access.value,
                "of_walk": fault.of_walk,
                "times": n,
            }
            for fault, n in c.faults.items()
        ],
        "register_traps": dict(c.register_traps),
        "set_way_traps": dict(c.set_way_traps),
        "other_register_traps": c.other_register_traps,
        "other_exits": dict(c.other_exits),
        "maintenance": [
            {
                "context": key.context.value,
                "operation": key.op.spelling,
                "times": lines.operations,
                "changed": lines.changed,
                "redundant": lines.redundant,
                "dirty": lines.dirty,
            }
            for key, lines in c.maintenance.items()
        ],
        "dsbs": {context.value: n for context, n in c.dsbs.items()},
        "pages": {
            "mmu_off": c.first_used_off,
            "mmu_on": c.first_used_on,
            "past_caches": c.past_caches,
            "uses": [
                {
                    "use": use.op.spelling,
                    "mmu_on": use.mmu_on,
                    "past_caches": use.past_caches,
                    "pages": n,
                }
                for use, n in c.first_used.items()
            ],
            "stage2_entries": {str(size_bytes): n for size_bytes, n in c.blocks.items()},
        },
        "stage2_tlbis": {context.value: n for context, n in c.invalidations.items()},
    }


def of_ram(ram: GuestRam) -> dict[str, int]:
    """Return what user space wrote to a guest's RAM, in bytes and 4 KiB pages."""
    return {
        "loaded_pages": len(ram.loaded),
        "loaded_bytes": sum(ram.loaded.values()),
        "loaded_never_used": len(ram.loaded.keys() - ram.touched),
        "written_later_pages": len(ram.written_later),
        "written_later_bytes": sum(ram.written_later.values()),
        "used_pages": len(ram.touched),
    }


def of_policy(one: Replayed) -> dict[str, Any]:
    """Return what a policy would have done."""
    return {
        "policy": one.policy,
        "why_not": one.why_not,
        "counts": asdict(one.counts),
        "operations": {op.spelling: n for op, n in one.operations.items()},
        "occasions": {
            hook: {"times": times, "pages": pages} for hook, (times, pages) in one.occasions.items()
        },
    }


def of_all(
    recording: Recording,
    total: Counted,
    slices: Sequence[Counted],
    ram: Sequence[GuestRam],
    replayed: Sequence[Replayed],
) -> dict[str, Any]:
    """Return everything there is to say about a recording."""
    return {
        "complete": recording.complete,
        "pes": recording.pes,
        "total": of_counts(total),
        "over_time": [of_counts(c) for c in slices],
        "guests": [of_ram(one) for one in ram],
        "cleaned_for_guests": dict(later_use(recording)),
        "policies": [of_policy(one) for one in replayed],
    }
