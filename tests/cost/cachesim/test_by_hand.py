"""Streams short enough to follow with pencil and paper. Unless said, caches are 1 KiB of 2 ways:
8 sets of 64-byte lines, so lines 0, 8, 16 and 24 share a set. L1 is the L1D, L1I the L1I."""

from __future__ import annotations

from typing import Any

import pytest
from streams import LINE, access, both, small, words

from pocwatch.arch.ops import Op
from pocwatch.cost.cachesim.counts import data
from pocwatch.platforms import Platform

ONE_WAY = "size_kib = 1\nways = 1\nshared = false"
SHARED = "size_kib = 1\nways = 2\nshared = true"


def counted(platform: Platform, text: str) -> dict[str, Any]:
    return data(both(platform, words(text)), platform)


def cache(counts: dict[str, Any], name: str, pe: int = 0) -> dict[str, Any]:
    return dict(counts["pes"][pe]["caches"][name])


def total(uses: dict[str, int]) -> int:
    return sum(uses.values())


def test_lru_replaces_the_least_recently_used() -> None:
    """0 and 8 fill the set; 0 is used again, so 16 replaces 8: then 0 hits and 8 misses."""
    counts = counted(small(), "P0 ld 0; P0 ld 8; P0 ld 0; P0 ld 16; P0 ld 0; P0 ld 8")
    assert cache(counts, "L1")["hits"]["load"] == 2
    assert cache(counts, "L1")["misses"]["load"] == 4
    assert cache(counts, "L1")["evictions"] == 2
    assert cache(counts, "L1")["fills"] == 4


FOUR_WAYS = "size_kib = 1\nways = 4\nshared = false\n"  # 4 sets: lines 0, 4, 8, 12, 16 share one


@pytest.mark.parametrize(("replacement", "gone"), [("lru", 4), ("tree-plru", 8)])
def test_plru_tree(replacement: str, gone: int) -> None:
    """Lines 0, 4, 8, 12 go to ways 0 to 3; then way 0 is used.

    The tree's root then points right, where way 3 was used after way 2: the victim is way 2, line 8.
    The least recently used is way 1, line 4.
    """
    l1 = FOUR_WAYS + f'replacement = "{replacement}"'
    start = "P0 ld 0; P0 ld 4; P0 ld 8; P0 ld 12; P0 ld 0; P0 ld 16"
    for line in (0, 4, 8, 12, 16):
        counts = counted(small(L1=l1), f"{start}; P0 ld {line}")
        assert cache(counts, "L1")["hits"]["load"] == (1 if line == gone else 2), line


def test_dirty_lines_move_down_level_by_level() -> None:
    """One way each, 16 sets. `st 16` drops 0 from L2, then L1's dirty 0 goes back there over 16.

    `st 32` fills L2 over dirty 0, which goes to memory; L1's dirty 16 then goes to L2 over 32.
    """
    platform = small(L1=ONE_WAY, L2=ONE_WAY)
    counts = counted(platform, "P0 st 0; P0 st 16; P0 st 32")
    pe = counts["pes"][0]
    assert cache(counts, "L1")["write_backs"] == {"eviction": 2, "maintenance": 0, "snoop": 0}
    assert cache(counts, "L2")["write_backs"] == {"eviction": 1, "maintenance": 0, "snoop": 0}
    assert pe["memory_writes"] == {"eviction": 1, "maintenance": 0, "snoop": 0}
    assert (cache(counts, "L1")["evictions"], cache(counts, "L2")["evictions"]) == (2, 4)
    assert (cache(counts, "L1")["fills"], cache(counts, "L2")["fills"]) == (3, 5)
    assert pe["memory_reads"]["store"] == 3


def test_clean_and_invalidate_costs_a_write_back_and_the_next_read() -> None:
    """DC CIVAC finds the line dirty in L1 and clean in L2; the read after it misses in both."""
    counts = counted(small(), "P0 st 3; P0 dc civac 3; P0 dsb; P0 ld 3; P0 ld 3")
    pe = counts["pes"][0]
    assert counts["maintenance"]["dc civac"] == {
        "issued": 1,
        "found": {
            "L1": {"miss": 0, "clean": 0, "dirty": 1},
            "L2": {"miss": 0, "clean": 1, "dirty": 0},
            "anywhere": {"miss": 0, "clean": 0, "dirty": 1},
        },
    }
    assert counts["maintenance"]["dsb"] == {"issued": 1, "found": {}}
    for name in ("L1", "L2"):
        assert cache(counts, name)["induced"]["load"] == 1
        assert total(cache(counts, name)["induced"]) == 1
        assert cache(counts, name)["removed"] == 1
    # L1's data go to the copy in L2, which is cleaned in turn: one line to memory.
    assert cache(counts, "L1")["write_backs"]["maintenance"] == 1
    assert cache(counts, "L2")["write_backs"]["maintenance"] == 1
    assert pe["memory_writes"] == {"eviction": 0, "maintenance": 1, "snoop": 0}
    assert pe["memory_reads"] == {"load": 1, "store": 1, "fetch": 0, "walk": 0, "zva": 0}
    assert pe["induced_reads"] == {"load": 1, "store": 0, "fetch": 0, "walk": 0, "zva": 0}


def test_a_read_from_memory_is_induced_wherever_the_line_was() -> None:
    """After `dc zva` only L1 has the line: the miss in L2 is an ordinary one, the read is induced."""
    counts = counted(small(), "P0 dc zva 3; P0 dc civac 3; P0 ld 3")
    assert cache(counts, "L2")["misses"]["load"] == 1
    assert cache(counts, "L2")["induced"]["load"] == 0
    assert counts["pes"][0]["induced_reads"]["load"] == 1
    again = counted(small(), "P0 ld 3; P0 dc civac 3; P0 dc zva 3; P0 dc zva 3")
    assert cache(again, "L1")["induced"]["zva"] == 1
    assert total(again["pes"][0]["induced_reads"]) == 0, "zeroing reads nothing"


def test_a_miss_after_an_eviction_is_not_induced() -> None:
    counts = counted(small(), "P0 dc civac 0; P0 ld 0; P0 ld 8; P0 ld 16; P0 ld 0")
    assert cache(counts, "L1")["misses"]["load"] == 4
    assert cache(counts, "L1")["induced"]["load"] == 0
    assert counts["maintenance"]["dc civac"]["found"]["anywhere"]["miss"] == 1


def test_a_clean_line_that_is_written_again_is_dirtied_again() -> None:
    """The second DC CVAC finds nothing to do; the second store makes dirty what was clean."""
    counts = counted(small(), "P0 st 1; P0 dc cvac 1; P0 dc cvac 1; P0 st 1; P0 st 1; P0 dc cvac 1")
    assert counts["pes"][0]["redirtied"] == 1
    assert counts["maintenance"]["dc cvac"]["found"]["L1"] == {"miss": 0, "clean": 1, "dirty": 2}
    assert counts["pes"][0]["memory_writes"]["maintenance"] == 2
    assert total(cache(counts, "L1")["induced"]) == 0
    assert cache(counts, "L1")["hits"]["store"] == 2


def test_invalidate_discards() -> None:
    counts = counted(small(), "P0 st 1; P0 dc ivac 1; P0 ld 1")
    assert cache(counts, "L1")["discarded"] == 1
    assert total(counts["pes"][0]["memory_writes"]) == 0
    assert cache(counts, "L1")["induced"]["load"] == 1


def test_another_pe_s_store_invalidates_and_its_load_cleans() -> None:
    """P1's load gets P0's dirty line by way of L2, not memory; P1's store takes P0's copy away."""
    platform = small(pes=2, L2=SHARED)
    loaded = counted(platform, "P0 st 5; P1 ld 5")
    assert cache(loaded, "L1", 1)["write_backs"]["snoop"] == 1, "P1 caused it"
    assert total(loaded["pes"][1]["memory_reads"]) == 0
    assert cache(loaded, "L2", 1)["hits"]["load"] == 1
    stored = counted(platform, "P0 st 5; P1 ld 5; P1 st 5; P0 ld 5")
    assert cache(stored, "L1", 1)["invalidated"] == 1
    assert cache(stored, "L1", 1)["hits"]["store"] == 1
    assert cache(stored, "L1", 0)["misses"] == {
        "load": 1,
        "store": 1,
        "fetch": 0,
        "walk": 0,
        "zva": 0,
    }
    assert cache(stored, "L1", 0)["write_backs"]["snoop"] == 1
    assert total(cache(stored, "L1", 0)["induced"]) == 0


def test_pairs_share_a_cache() -> None:
    """P0 and P1 have one L2, P2 and P3 another: P1 finds P0's line there, P2 does not."""
    platform = small(3, 4, L2="size_kib = 1\nways = 2\nsharers = 2", L3=SHARED)
    counts = counted(platform, "P0 ld 5; P1 ld 5; P2 ld 5")
    assert [cache(counts, "L2", pe)["hits"]["load"] for pe in range(4)] == [0, 1, 0, 0]
    assert [cache(counts, "L3", pe)["hits"]["load"] for pe in range(4)] == [0, 0, 1, 0]
    assert total(counts["pes"][0]["memory_reads"]) == 1


def test_clean_to_the_pou_stops_there() -> None:
    """L1's dirty line goes to L2, the PoU, and stays dirty there; with IDC nothing is to be done."""
    counts = counted(small(), "P0 st 2; P0 dc cvau 2; P0 dc cvac 2")
    assert cache(counts, "L1")["write_backs"]["maintenance"] == 1
    found = counts["maintenance"]["dc cvac"]["found"]
    assert found["L1"]["clean"] == found["L2"]["dirty"] == 1
    assert "L2" not in counts["maintenance"]["dc cvau"]["found"]
    idc = counted(small(head="idc = true"), "P0 st 2; P0 dc cvau 2")
    assert idc["maintenance"]["dc cvau"]["found"] == {
        "anywhere": {"miss": 1, "clean": 0, "dirty": 0}
    }
    assert total(cache(idc, "L1")["write_backs"]) == 0


def test_an_outer_cache_is_cleaned_by_its_controller_only() -> None:
    platform = small(L2="size_kib = 1\nways = 2\nby_va = false\nset_way = false\nouter = true")
    counts = counted(platform, "P0 st 2; P0 dc civac 2; P0 outer flush 2")
    assert cache(counts, "L1")["write_backs"]["maintenance"] == 1
    assert counts["maintenance"]["dc civac"]["found"]["anywhere"]["dirty"] == 1
    assert counts["maintenance"]["outer flush"]["found"]["L2"]["dirty"] == 1
    assert counts["pes"][0]["memory_writes"]["maintenance"] == 1


def test_set_way_operand() -> None:
    """2 ways: way in bit 31; 8 sets of 64 bytes: set in bits 8:6; level minus one in bits 3:1."""
    platform = small(2, 2, L2=SHARED)
    fill = [access(0, Op.ST, 3 * LINE), access(0, Op.ST, 11 * LINE)]  # ways 0 and 1 of set 3
    for operand, level, outcome in (
        (1 << 31 | 3 << 6, "L1", "dirty"),
        (0 << 31 | 3 << 6, "L1", "dirty"),
        (1 << 31 | 4 << 6, "L1", "miss"),
        (0 << 31 | 8 << 6, "L1", "miss"),  # there is no set 8
        (1 << 31 | 3 << 6 | 1 << 1, "L2", "clean"),
    ):
        counts = data(both(platform, [*fill, access(0, Op.DC_CISW, operand)]), platform)
        found = counts["maintenance"]["dc cisw"]["found"]
        assert found[level][outcome] == 1, hex(operand)
        assert cache(counts, level)["removed"] == (outcome != "miss")
    other = [*fill, access(1, Op.DC_CISW, 3 << 6)]  # of P1's own cache
    counts = data(both(platform, other), platform)
    assert counts["maintenance"]["dc cisw"]["found"]["L1"]["miss"] == 1
    beyond = [*fill, access(0, Op.DC_CISW, 3 << 6 | 2 << 1)]
    counts = data(both(platform, beyond), platform)
    assert counts["maintenance"]["dc cisw"] == {"issued": 1, "found": {}}


def test_instruction_side() -> None:
    """Fetches fill L1I and L2, not L1. IC IVAU makes every PE fetch again, IC IALLU only its own."""
    platform = small(pes=2, L2=SHARED)
    counts = counted(platform, "P0 if 4; P1 if 4; P0 ic ivau 4; P0 if 4; P1 if 4")
    assert [cache(counts, "L1I", pe)["induced"]["fetch"] for pe in (0, 1)] == [1, 1]
    assert cache(counts, "L1I", 0)["removed"] == 2
    assert total(cache(counts, "L1", 0)["misses"]) == 0
    assert counts["pes"][0]["memory_reads"]["fetch"] == 1
    own = counted(platform, "P0 if 4; P1 if 4; P0 ic iallu; P0 if 4; P1 if 4")
    assert [cache(own, "L1I", pe)["induced"]["fetch"] for pe in (0, 1)] == [1, 0]
    everywhere = counted(platform, "P0 if 4; P1 if 4; P0 ic ialluis; P0 if 4; P1 if 4")
    assert [cache(everywhere, "L1I", pe)["induced"]["fetch"] for pe in (0, 1)] == [1, 1]


def test_idc_and_dic() -> None:
    """Without IDC a fetch misses the dirty line in L1; with it, that is cleaned to L2 first.

    With DIC a store takes the line out of every L1I.
    """
    code = "P0 st 4; P0 if 4; P0 st 4; P0 if 4"
    plain = counted(small(), code)
    assert cache(plain, "L1I")["hits"]["fetch"] == 1
    assert cache(plain, "L1")["write_backs"]["snoop"] == 0
    both_ = counted(small(head="idc = true\ndic = true"), code)
    assert cache(both_, "L1I")["misses"]["fetch"] == 2
    assert cache(both_, "L1I")["invalidated"] == 1
    assert cache(both_, "L1")["write_backs"]["snoop"] == 2


def test_only_write_back_accesses_use_the_caches() -> None:
    text = "P0 ld nc 1; P0 st dev 1; P0 tw wt 1; P0 if nc 1; P0 if wt 1; P0 if wt 1"
    counts = counted(small(), text)
    pe = counts["pes"][0]
    assert pe["uncached"] == {"load": 1, "store": 1, "fetch": 1, "walk": 1, "zva": 0}
    assert cache(counts, "L1I")["hits"]["fetch"] == 1
    assert pe["memory_reads"]["fetch"] == 1
    for name in ("L1", "L2"):
        assert total(cache(counts, name)["hits"]) + total(cache(counts, name)["misses"]) == 0


def test_zeroing_needs_no_old_data() -> None:
    counts = counted(small(), "P0 dc zva 6; P0 ld 6; P0 dc civac 6")
    assert total(counts["pes"][0]["memory_reads"]) == 0
    assert cache(counts, "L1")["hits"]["load"] == 1
    assert counts["maintenance"]["dc civac"]["found"]["L2"]["miss"] == 1
    assert counts["pes"][0]["memory_writes"]["maintenance"] == 1


def test_walks_are_looked_up_like_loads() -> None:
    counts = counted(small(), "P0 tw 6; P0 tw 6; P0 ld 6")
    assert cache(counts, "L1")["hits"] == {"load": 1, "store": 0, "fetch": 0, "walk": 1, "zva": 0}


def test_an_access_across_lines_is_two_look_ups() -> None:
    platform = small()
    counts = data(both(platform, [access(0, Op.LD, 60, size=8)]), platform)
    assert counts["accesses"] == 1
    assert cache(counts, "L1")["misses"]["load"] == 2


def test_ignored_operations_show_what_they_cost() -> None:
    """The same accesses without the clean and invalidate: one memory read and one write less."""
    stream = words("P0 st 3; P0 dc civac 3; P0 ld 3")
    platform = small()
    with_it = both(platform, stream).pes[0]
    without = both(platform, stream, [Op.DC_CIVAC]).pes[0]
    assert sum(with_it.memory_reads) - sum(without.memory_reads) == 1
    assert sum(with_it.memory_writes) - sum(without.memory_writes) == 1
