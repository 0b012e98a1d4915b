"""Streams and small hierarchies for tests, written as words."""

from __future__ import annotations

from collections.abc import Iterable

from pocwatch import platforms
from pocwatch.arch.ops import BY_SPELLING, Kind, Op
from pocwatch.cost.cachesim.counts import Counts
from pocwatch.cost.cachesim.native import Native
from pocwatch.cost.cachesim.record import Access
from pocwatch.cost.cachesim.reference import Reference
from pocwatch.platforms import Platform

LINE = 64
_SIZES = {Op.IF: 4, Op.TW: 8, Op.LD: 8, Op.ST: 8, Op.DC_ZVA: 64}


def access(pe: int, op: Op, pa: int = 0, kind: Kind = Kind.WB, size: int | None = None) -> Access:
    """One record."""
    return Access(pe=pe, op=op, kind=kind, pa=pa, size=_SIZES.get(op, 0) if size is None else size)


def words(text: str) -> list[Access]:
    """Records of `P0 st 3; P1 dc civac 3; P0 ld nc 3`: agent, operation, kind (WB), line number."""
    made = []
    for word in text.split(";"):
        agent, *rest = word.split()
        line = int(rest.pop(), 0) if rest[-1][0].isdigit() else 0
        kind = Kind[rest.pop().upper()] if rest[-1] in ("wb", "wt", "nc", "dev") else Kind.WB
        made.append(access(int(agent[1:]), BY_SPELLING[" ".join(rest)], line * LINE, kind))
    return made


def raw(accesses: Iterable[Access]) -> bytes:
    return b"".join(bytes(each) for each in accesses)


def small(
    levels: int = 2,
    pes: int = 1,
    *,
    first_unified: str = "L2",
    head: str = "",
    l1i: str = "size_kib = 1\nways = 2",
    **keys: str,
) -> Platform:
    """A platform of tiny caches. `L1`, `L2` ... add keys to levels; by default 1 KiB, 2 ways, private."""
    text = f'pes = {pes}\nfirst_unified = "{first_unified}"\n{head}\n[l1i]\n{l1i}\n'
    for number in range(1, levels + 1):
        default = "size_kib = 1\nways = 2\nshared = false"
        text += f'[[levels]]\nname = "L{number}"\n{keys.get(f"L{number}", default)}\n'
    return platforms.parse(text, "small")


def both(platform: Platform, accesses: list[Access], ignored: Iterable[Op] = ()) -> Counts:
    """Run reference and kernel, insist that they agree, and return the counts."""
    ignored = tuple(ignored)
    reference = Reference(platform, ignored)
    reference.run(accesses)
    with Native(platform, ignored) as native:
        native.run(raw(accesses))
        counts = native.counts()
    assert bytes(counts) == bytes(reference.counts)
    return counts
