"""What simulated caches counted, as tables."""

from __future__ import annotations

from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, Op
from pocwatch.cost.cachesim.counts import ANYWHERE, Counts, Outcome, names
from pocwatch.cost.recording.tables import Table
from pocwatch.platforms import Platform

MAINTENANCE = frozenset({*DATA_MAINTENANCE, *INSTRUCTION_MAINTENANCE})


def caches(counts: Counts, platform: Platform) -> Table:
    """Return a row for each cache, all PEs together."""
    rows = []
    for number, name in enumerate(names(platform)):
        each = [pe.caches[number] for pe in counts.pes]
        rows.append(
            (
                name,
                sum(sum(c.hits) for c in each),
                sum(sum(c.misses) for c in each),
                sum(sum(c.induced) for c in each),
                *(sum(c.write_backs[cause] for c in each) for cause in range(3)),
                sum(c.removed for c in each),
            )
        )
    return Table(
        "Caches",
        ("cache", "hits", "misses", "induced", "evicted dirty", "cleaned", "snooped", "removed"),
        rows,
        "Induced: misses on lines that maintenance had removed. Cleaned, removed: dirty copies written "
        "back, and copies taken away, by maintenance.",
    )


def maintenance(counts: Counts) -> Table:
    """Return what operations found, looking at all caches that they reach."""
    rows = [
        (
            op.spelling,
            counts.ops[op].issued,
            *(counts.ops[op].found[ANYWHERE][o] for o in (Outcome.DIRTY, Outcome.CLEAN, Outcome.MISS)),
        )
        for op in Op
        if op in MAINTENANCE and counts.ops[op].issued
    ]
    return Table("Maintenance", ("operation", "times", "dirty", "clean", "absent"), rows)


def net(counts: Counts, without: Counts) -> Table:
    """Return what all maintenance did to the traffic with memory: `without` ignored it."""

    def traffic(of: Counts) -> tuple[int, int]:
        reads = sum(sum(pe.memory_reads) for pe in of.pes)
        return reads, sum(sum(pe.memory_writes) for pe in of.pes)

    (reads, writes), (reads_without, writes_without) = traffic(counts), traffic(without)
    return Table(
        "Lines from and to memory",
        ("lines", "as it was", "without maintenance", "difference"),
        [
            ("read", reads, reads_without, reads - reads_without),
            ("written", writes, writes_without, writes - writes_without),
        ],
        "The same accesses were simulated twice; the second time maintenance did nothing.",
    )
