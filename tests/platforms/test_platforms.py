"""The shipped platforms are what the design says; the user's own are checked key by key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pocwatch import platforms
from pocwatch.platforms import Level, PlatformError
from pocwatch.platforms.geometry import DEFAULT_L1

# Design, "Named platforms": levels, PEs where it says, and what reaches which level.
SHIPPED = {
    "cortex-a53": (["L1D", "L2"], 4),
    "cortex-a57": (["L1D", "L2"], 4),
    "cortex-a57-up": (["L1D", "L2"], 1),
    "xgene-l3": (["L1D", "L2", "L3"], 8),
    "xgene-l3-up": (["L1D", "L2", "L3"], 1),
    "l2x0-up": (["L1D", "L2"], 1),
    "neoverse-dic": (["L1D", "L2", "L3"], 4),
    "fwb": (["L1D", "L2", "L3"], 8),
    "transparent-l3": (["L1D", "L2"], None),
    # Not of the design: a VIPT instruction cache (fact A23), and FWB together with DIC (B1.19).
    "fwb-dic": (["L1D", "L2", "L3"], 4),
}
DIC = ("neoverse-dic", "fwb-dic")


def test_all_are_shipped() -> None:
    assert platforms.names() == tuple(sorted(SHIPPED))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    levels, pes = SHIPPED[name]
    platform = platforms.load(name)
    assert platform.name == name
    assert [level.name for level in platform.levels] == levels
    assert pes in (None, platform.pes)
    assert platform.description
    assert platform.source
    assert platform.dminline_bytes == 64
    assert platform.levels[platform.first_unified].name == "L2"
    assert platform.idc is platform.dic is (name in DIC)
    assert platform.stage2_forces_wb is name.startswith("fwb")
    assert platform.icache.value == ("vipt" if name == "cortex-a53" else "pipt")
    assert platform.pou == (0 if name in DIC else 1)


def test_what_reaches_which_level() -> None:
    """Facts A6, A14, A15, C2."""
    for name in ("xgene-l3", "xgene-l3-up", "fwb"):
        xgene = platforms.load(name)
        assert xgene.reached("by_va") == (0, 1, 2)
        assert xgene.reached("set_way") == (0, 1)
        assert xgene.reached("outer") == ()
    outer = platforms.load("l2x0-up")
    assert outer.reached("by_va") == outer.reached("set_way") == (0,)
    assert outer.reached("outer") == (1,)
    for name in ("cortex-a57", "cortex-a57-up", "transparent-l3"):
        platform = platforms.load(name)
        assert platform.reached("by_va") == platform.reached("set_way") == (0, 1)


GOOD = """
description = "mine"
pes = 2
first_unified = "L2"
idc = true
dic = true
dminline_bytes = 128
[[levels]]
name = "L1D"
[[levels]]
name = "L2"
set_way = false
[[levels]]
name = "L3"
by_va = false
set_way = false
outer = true
"""


def test_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    platform = platforms.load(str(path))
    assert (platform.name, platform.description, platform.pes) == ("mine", "mine", 2)
    assert [replace(level, geometry=DEFAULT_L1) for level in platform.levels] == [
        Level("L1D", True, True),
        Level("L2", True, False),
        Level("L3", False, False, True),
    ]
    assert (platform.first_unified, platform.pou, platform.dminline_bytes) == (1, 0, 128)


def test_the_point_of_unification_may_be_memory() -> None:
    text = 'pes = 1\nfirst_unified = "memory"\n[[levels]]\nname = "L1D"\n'
    assert platforms.parse(text, "x").pou == 1


LEVEL = '[[levels]]\nname = "L2"\n'
HEAD = 'pes = 1\nfirst_unified = "L2"\n'
BAD = [
    ("no such I-cache", 'icache = "vivt"\n' + HEAD + LEVEL, "'vivt': accepted are pipt, vipt"),
    ("not TOML", "pes = = 1", "not TOML"),
    ("no pes", 'first_unified = "L2"\n' + LEVEL, "pes is missing"),
    ("no levels", HEAD, "levels is missing"),
    ("no first_unified", "pes = 1\n" + LEVEL, "first_unified is missing"),
    ("unknown key", HEAD + "speed = 3\n" + LEVEL, "'speed': accepted are description, pes"),
    ("unknown level key", HEAD + LEVEL + "speed = 4\n", "'speed': accepted are name, by_va"),
    ("pes of the wrong type", 'pes = "four"\nfirst_unified = "L2"\n' + LEVEL, "pes is 'four'"),
    ("pes a boolean", 'pes = true\nfirst_unified = "L2"\n' + LEVEL, "pes is True"),
    ("no PE", 'pes = 0\nfirst_unified = "L2"\n' + LEVEL, "pes is 0: accepted are 1 to 64"),
    ("too many PEs", 'pes = 65\nfirst_unified = "L2"\n' + LEVEL, "pes is 65"),
    ("levels empty", HEAD + "levels = []\n", "0 levels: accepted are 1 to 4"),
    ("too many levels", HEAD + "".join(f'[[levels]]\nname = "L{i}"\n' for i in range(5)), "5 levels"),
    ("levels no tables", HEAD + 'levels = ["L2"]\n', "[[levels]]"),
    ("level without a name", HEAD + "[[levels]]\nby_va = true\n", "no name"),
    ("level flag no boolean", HEAD + LEVEL + "by_va = 1\n", "by_va is 1"),
    ("first_unified names no level", 'pes = 1\nfirst_unified = "L9"\n' + LEVEL, "'L9': accepted is"),
    ("two levels of that name", HEAD + LEVEL + LEVEL, "'L2': accepted is"),
    ("line size", HEAD + "dminline_bytes = 48\n" + LEVEL, "48: accepted are 16, 32, 64, 128, 256"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [pytest.param(*case[1:], id=case[0]) for case in BAD])
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(PlatformError) as error:
        platforms.load(str(path))
    assert said in str(error.value)
    assert "'bad'" in str(error.value)


def test_unknown_name() -> None:
    with pytest.raises(PlatformError) as error:
        platforms.load("cortex-a99")
    assert "'cortex-a99'" in str(error.value)
    for name in SHIPPED:
        assert name in str(error.value)
    assert ".toml" in str(error.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="No such file"):
        platforms.load(str(tmp_path / "none.toml"))
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(PlatformError, match="cannot be read"):
        platforms.load(str(folder))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlatformError, match="not UTF-8"):
        platforms.load(str(binary))
