"""The thread's question for any number of lines: a host writes, cleans or not, an MMU-off guest reads.

Facts A1 to A3: the host's writes are cacheable and may sit dirty in the L3 outside the CPU; the guest's
reads bypass all caches.
"""

from __future__ import annotations

import enum

from pocwatch.kvm.export.concrete import (
    Do,
    Instruction,
    Program,
    Set,
    Wait,
    do,
    each,
    judge,
    straight,
)
from pocwatch.line.word import parse
from pocwatch.platforms import Platform


class Order(enum.Enum):
    """In which order a thread goes through the lines."""

    ASCENDING = "ascending"
    ANY = "any"  # what keeps the lines interchangeable


def question(
    platform: Platform, lines: int, *, clean: str | None, order: Order = Order.ASCENDING
) -> Program:
    """Return the program: P0 writes all lines, does `clean` (as `dc cvac`) on all, P1 reads all."""
    todo = ["P0 st wb", *([f"P0 {clean}"] if clean else [])]
    host: list[Instruction] = []
    for text in todo:
        host += each(text) if order is Order.ANY else do(text, range(lines))
    host += [Do(parse("P0 dsb")[0]), Set(0)]
    read = "P1 ld dev"
    reads = each(read, judged=True) if order is Order.ANY else judge(read, range(lines))
    threads = (straight("host", tuple(host)), straight("guest", (Wait(0), *reads)))
    return Program(f"{lines} lines, {clean or 'no clean'}", platform, threads, lines)
