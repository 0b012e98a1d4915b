"""Sizes, ways, replacement and sharing: what the files say, the defaults, and what is refused."""

from __future__ import annotations

import pytest

from pocwatch import platforms
from pocwatch.platforms import PlatformError
from pocwatch.platforms.geometry import ALL_PES, Geometry, Replacement

LRU, PLRU = Replacement.LRU, Replacement.TREE_PLRU


def parsed(
    levels: int, l1i: str = "", head: str = "", *, first: str = "", last: str = ""
) -> list[Geometry]:
    """L1I's geometry and those of `levels` levels, of which the first and last have extra keys."""
    more = {0: first, levels - 1: last} if levels > 1 else {0: first}
    text = f'pes = 4\nfirst_unified = "memory"\n{head}\n' + (f"[l1i]\n{l1i}\n" if l1i else "")
    for number in range(levels):
        text += f'[[levels]]\nname = "L{number + 1}"\n{more.get(number, "")}\n'
    platform = platforms.parse(text, "x")
    return [platform.l1i, *(level.geometry for level in platform.levels)]


def test_defaults_are_the_documented_ones() -> None:
    l1i, *levels = parsed(4)
    assert l1i == Geometry(32, 4, LRU, 1)
    assert levels == [
        Geometry(32, 4, LRU, 1),
        Geometry(512, 8, LRU, 1),
        Geometry(8192, 16, LRU, 1),
        Geometry(16384, 16, LRU, ALL_PES),
    ]
    assert parsed(1)[1].sharers == 1, "the only level is an L1"
    assert [g.sharers for g in parsed(2)] == [1, 1, ALL_PES]


def test_every_key_is_read() -> None:
    l1i, first, last = parsed(
        2,
        'size_kib = 48\nways = 3\nreplacement = "lru"',
        first='size_kib = 16\nways = 2\nreplacement = "tree-plru"\nshared = false',
        last="size_kib = 1024\nways = 16\nsharers = 2",
    )
    assert l1i == Geometry(48, 3, LRU, 1)
    assert first == Geometry(16, 2, PLRU, 1)
    assert last == Geometry(1024, 16, LRU, 2)
    assert parsed(2, first="shared = true", last="shared = true")[1].sharers == ALL_PES


def test_sets() -> None:
    """48 KiB = 768 lines of 64 bytes = 256 sets of 3."""
    assert Geometry(48, 3).sets(64) == 256
    assert Geometry(48, 3).sets(128) == 128


def test_the_shipped_ones_are_those_of_their_manuals() -> None:
    """Cortex-A57 TRM, Cortex-A53 TRM, the 2013 thread's X-Gene, Neoverse N1."""
    a57, a53 = platforms.load("cortex-a57"), platforms.load("cortex-a53")
    assert (a57.l1i.size_kib, a57.l1i.ways, a57.l1i.sets(64)) == (48, 3, 256)
    assert a57.levels[0].geometry == Geometry(32, 2, LRU, 1)
    assert a57.levels[1].geometry == Geometry(2048, 16, PLRU, ALL_PES)
    assert (a53.l1i.ways, a53.levels[0].geometry.ways, a53.levels[1].geometry.ways) == (2, 4, 16)
    xgene = [level.geometry for level in platforms.load("xgene-l3").levels]
    assert [g.size_kib for g in xgene] == [32, 256, 8192]
    assert [g.sharers for g in xgene] == [1, 2, ALL_PES]
    neoverse = [level.geometry for level in platforms.load("neoverse-dic").levels]
    assert [(g.size_kib, g.ways, g.sharers) for g in neoverse] == [
        (64, 4, 1),
        (1024, 8, 1),
        (4096, 16, ALL_PES),
    ]


REFUSED = [
    ({"l1i": "speed = 1"}, "l1i: unknown key 'speed': accepted are size_kib, ways, replacement"),
    ({"l1i": "shared = true"}, "l1i: unknown key 'shared'"),
    ({"l1i": "ways = 0"}, "l1i: ways is 0: accepted are 1 to 64"),
    ({"l1i": "size_kib = 0"}, "l1i: size_kib is 0: accepted are 1 to"),
    ({"first": 'size_kib = "32K"'}, "size_kib is '32K': it takes a TOML integer"),
    ({"first": "ways = 65"}, "L1: ways is 65: accepted are 1 to 64"),
    ({"first": "ways = 3"}, "L1: size_kib 32 with 3 ways of 64-byte lines is 170.667 sets"),
    ({"first": "ways = 16\nsize_kib = 48"}, "is 48 sets: accepted is a power of two"),
    ({"first": "size_kib = 1\nways = 32"}, "is 0.5 sets"),
    ({"head": "dminline_bytes = 256", "first": "size_kib = 1\nways = 8"}, "8 ways of 256-byte lines"),
    ({"first": 'replacement = "random"'}, "replacement is 'random': accepted are lru, tree-plru"),
    (
        {"first": 'size_kib = 48\nways = 3\nreplacement = "tree-plru"'},
        "L1: ways is 3: tree-plru takes a power of two",
    ),
    ({"first": "sharers = 0"}, "L1: sharers is 0: accepted are 1 to 64"),
    ({"first": "sharers = 2\nshared = false"}, "sharers is 2, but shared is false"),
    ({"first": "shared = 1"}, "shared is 1: it takes a TOML boolean"),
    (
        {"first": "sharers = 2", "last": "sharers = 3"},
        "L1 has 2 sharers and L2 3: accepted is a multiple",
    ),
    ({"first": "shared = true", "last": "shared = false"}, "L1 has 64 sharers and L2 1"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(PlatformError) as error:
        parsed(2, **words)
    assert said in str(error.value)
    assert "'x'" in str(error.value)
