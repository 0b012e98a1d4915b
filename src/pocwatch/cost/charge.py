"""What counted operations cost on a machine: Counts and CostModel to time.

Operations of one thread do not overlap, except that cleans are pipelined: the cost of a line is what a
long loop over many lines takes per line, not the latency of one. Writing back is bounded by memory,
however many threads clean: cleaning takes the larger of the two. A wait for a lock is not modelled:
work done under one lock by many threads is the work of one thread.
"""

from __future__ import annotations

from collections.abc import Mapping

from pocwatch.cost.counts import Counts
from pocwatch.cost.model import CostModel
from pocwatch.cost.quantity import Estimate, duration, largest, total

# Count -> cost, by the part of the time it belongs to.
PARTS: Mapping[str, Mapping[str, str]] = {
    "data cache": {
        "dc_poc_dirty": "dc_poc_dirty",
        "dc_poc_clean": "dc_poc_clean",
        "dc_poc_absent": "dc_poc_absent",
        "dc_pou": "dc_pou",
        "set_way_lines": "set_way_line",
    },
    "instruction cache": {
        "ic_ivau": "ic_ivau",
        "ic_iallu": "ic_iallu",
        "ic_ialluis": "ic_ialluis",
    },
    "barriers": {"dsb": "dsb"},
    "faults": {
        "stage2_faults": "stage2_fault",
        "prefetch_faults": "prefetch_fault",
        "permission_faults": "permission_fault",
    },
    "traps": {"traps_tvm": "trap", "traps_tsw": "trap", "traps_dc": "trap"},
}


def parts(model: CostModel, counts: Counts, *, threads: int = 1) -> dict[str, Estimate]:
    """Return the time, in ns, that each part takes if `threads` threads share the work evenly.

    Raises ValueError for less than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}: accepted is 1 or more")
    times = {
        part: total(model[cost] * getattr(counts, count) for count, cost in costs.items()) / threads
        for part, costs in PARTS.items()
    }
    memory = duration(counts.written_back(model.line_bytes), model["clean_bandwidth"])
    times["data cache"] = largest(times["data cache"], memory)
    return times


def cost(model: CostModel, counts: Counts, *, threads: int = 1) -> Estimate:
    """Return the time, in ns, from start to end. Raises ValueError for less than one thread."""
    return total(parts(model, counts, threads=threads).values())
