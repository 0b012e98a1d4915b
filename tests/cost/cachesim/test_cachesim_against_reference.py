"""The compiled kernel counts what the reference counts, on every stream over every small hierarchy."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import LINE, access, both, raw

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.cost.cachesim.counts import data
from pocwatch.cost.cachesim.native import Native
from pocwatch.cost.cachesim.record import Access
from pocwatch.cost.cachesim.reference import Reference
from pocwatch.platforms import Platform

BOOL = st.sampled_from(["true", "false"])


@st.composite
def shapes(draw: st.DrawFn) -> str:
    """Keys of a cache of 1 to 16 sets of 64-byte lines."""
    ways, replacement = draw(
        st.sampled_from([(1, "lru"), (2, "lru"), (3, "lru"), (4, "tree-plru"), (8, "tree-plru")])
    )
    sets = draw(st.sampled_from([16, 32]))
    return (
        f'size_kib = {ways * sets * LINE // 1024}\nways = {ways}\nreplacement = "{replacement}"\n'
    )


@st.composite
def hierarchies(draw: st.DrawFn) -> Platform:
    """Up to three levels, up to four PEs, any sharing that nests, any reach."""
    pes, levels = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    unified = draw(st.sampled_from(["memory", *(f"L{i}" for i in range(1, levels + 1))]))
    text = f'pes = {pes}\nfirst_unified = "{unified}"\nidc = {draw(BOOL)}\ndic = {draw(BOOL)}\n'
    text += f"[l1i]\n{draw(shapes())}"
    sharers = 1
    for number in range(1, levels + 1):
        sharers = draw(st.sampled_from([n for n in (1, 2, 4, 64) if n >= sharers]))
        text += f'[[levels]]\nname = "L{number}"\n{draw(shapes())}sharers = {sharers}\n'
        text += "".join(f"{key} = {draw(BOOL)}\n" for key in ("by_va", "set_way", "outer"))
    return platforms.parse(text, "drawn")


ACCESSES = (Op.LD, Op.ST, Op.TW, Op.IF, Op.DC_ZVA)
OPERATIONS = tuple(op for op in Op if Op.DC_CVAC <= op <= Op.DSB)


@st.composite
def records(draw: st.DrawFn, pes: int) -> Access:
    """An access or operation on one of some lines, of which sets of 16 get more than they hold."""
    op = draw(st.sampled_from(ACCESSES * 3 + OPERATIONS))
    line = draw(st.sampled_from([0, 1, 16, 32, 33, 48, 64, 96, 112, 128, 160, 1 << 36]))
    kind = draw(st.sampled_from([Kind.WB] * 7 + [Kind.WT, Kind.NC, Kind.DEV]))
    pe = draw(st.integers(0, pes - 1))
    if op in (Op.DC_CSW, Op.DC_CISW, Op.DC_ISW):
        way = draw(st.integers(0, 7)) << draw(st.sampled_from([28, 29, 30, 31]))
        level = draw(st.integers(0, 3))
        return access(pe, op, (way & 0xFFFF_FFFF) | (line % 40) << 6 | level << 1)
    size = draw(st.sampled_from([1, 8, 64])) if op in (Op.LD, Op.ST) else None
    return access(pe, op, line * LINE + (60 if size == 8 else 0), kind, size)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Platform, list[Access], list[Op]]:
    platform = draw(hierarchies())
    stream = draw(st.lists(records(platform.pes), max_size=120))
    return platform, stream, draw(st.lists(st.sampled_from(OPERATIONS), max_size=2))


@settings(max_examples=600, deadline=None)
@given(runs())
def test_same_counts(run: tuple[Platform, list[Access], list[Op]]) -> None:
    platform, stream, ignored = run
    reference = Reference(platform, ignored)
    reference.run(stream)
    with Native(platform, ignored) as native:
        cut = len(stream) // 3
        native.run(raw(stream[:cut]))
        native.run(raw(stream[cut:]))
        counts = native.counts()
    assert data(counts, platform) == data(reference.counts, platform)
    assert bytes(counts) == bytes(reference.counts)
    _check_sums(platform, data(counts, platform), stream)


@pytest.mark.parametrize("seed", range(60))
def test_same_counts_of_long_streams(seed: int) -> None:
    """Long enough for every set to overflow and every rare order of events to come."""
    rng = random.Random(seed)
    pes = rng.choice([1, 2, 3, 4])
    text = f'pes = {pes}\nfirst_unified = "{rng.choice(["memory", "L1", "L2", "L3"])}"\n'
    text += "".join(f"{key} = {rng.choice(['true', 'false'])}\n" for key in ("idc", "dic"))
    text += "[l1i]\nsize_kib = 2\nways = 2\n"
    sharers = 1
    for number, ways in ((1, 2), (2, 3), (3, 4)):
        sharers = rng.choice([n for n in (1, 2, 4, 64) if n >= sharers])
        kind = rng.choice(["lru", "tree-plru"]) if ways != 3 else "lru"
        text += f'[[levels]]\nname = "L{number}"\nsize_kib = {ways}\nways = {ways}\n'
        text += f'replacement = "{kind}"\nsharers = {sharers}\n'
        text += f"by_va = {rng.choice(['true', 'true', 'false'])}\nouter = true\n"
    stream = []
    for _ in range(1500):
        op = rng.choice(ACCESSES * 5 + OPERATIONS)
        kind_ = rng.choice([Kind.WB] * 9 + [Kind.WT])
        pa = (
            rng.randrange(1 << 32) & 0xC000_07CE
            if "sw" in op.spelling
            else rng.randrange(16) * 1024
        )
        stream.append(access(rng.randrange(pes), op, pa, kind_))
    counts = both(platforms.parse(text, "drawn"), stream)
    assert counts.accesses == 1500


def _check_sums(platform: Platform, counts: dict[str, Any], stream: list[Access]) -> None:
    """What holds of any hierarchy: looked up once per line, filled what left, memory in and out."""
    fills = left = 0
    for pe in counts["pes"]:
        for cache in pe["caches"].values():
            fills += cache["fills"]
            left += cache["evictions"] + cache["invalidated"] + cache["removed"]
            assert all(cache["induced"][use] <= cache["misses"][use] for use in cache["misses"])
            assert cache["write_backs"]["eviction"] <= cache["evictions"]
    assert fills >= left
    loads = sum(
        pe["caches"][platform.levels[0].name][what]["load"]
        for pe in counts["pes"]
        for what in ("hits", "misses")
    )
    assert loads == sum(
        (each.pa + each.size - 1) // LINE - each.pa // LINE + 1
        for each in stream
        if each.op == Op.LD and each.kind == Kind.WB
    )
