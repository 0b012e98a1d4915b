"""`--drop` and `--weaken` as the user spells them, and as the plugin reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pocwatch.arch.ops import Op
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.rules import Place, Rule, check_count, parse, write
from pocwatch.sanitizer.symbols import Range


def find(name: str) -> Sequence[Place]:
    known = {
        "clean": [Place("pc", Range(0xFFFF000000001000, 0xFFFF000000001040))],
        "twice": [Place("pc_pa", Range(0x40201000, 0x40201010)), Place("pc", Range(0x10, 0x20))],
    }
    return known.get(name, [])


def rule(text: str, option: str = "--drop") -> Rule:
    return parse(option, text, find, lambda name: ["clean"] if name == "claen" else [])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("dc civac@clean", ["0 drop 10 -1 pc ffff000000001000 ffff000000001040"]),
        ("DC_CIVAC@clean", ["0 drop 10 -1 pc ffff000000001000 ffff000000001040"]),
        ("*@*", ["0 drop -1 -1 any 0 ffffffffffffffff"]),
        ("ic ivau@0x1000-0x2000", ["0 drop 15 -1 pc 1000 2000"]),
        ("ic ivau@PC:0x1000-0x2000", ["0 drop 15 -1 pc 1000 2000"]),
        ("ic ivau@PC 0x1000-0x2000", ["0 drop 15 -1 pc 1000 2000"]),
        ("dc cvac@ipa:0x80000000-0x80001000", ["0 drop 7 -1 ipa 80000000 80001000"]),
        ("dc cvac@PA:0x40-0x80", ["0 drop 7 -1 pa 40 80"]),
        ("ic ivau@user", ["0 drop 15 -1 pc 0 1000000000000"]),
        ("dc cvac@0xABC", ["0 drop 7 -1 pc abc ac0"]),
        ("dc cvac@twice", ["0 drop 7 -1 pc_pa 40201000 40201010", "0 drop 7 -1 pc 10 20"]),
        (
            "ic *@*",
            [f"0 drop {op} -1 any 0 ffffffffffffffff" for op in (15, 16, 17)],
        ),
    ],
)
def test_drop(text: str, lines: list[str]) -> None:
    assert rule(text).lines(0) == lines


def test_weaken() -> None:
    assert rule("dc civac=dc cvau@clean", "--weaken").lines(3) == [
        f"3 weaken {int(Op.DC_CIVAC)} {int(Op.DC_CVAU)} pc ffff000000001000 ffff000000001040"
    ]


def test_file(tmp_path: Path) -> None:
    write(tmp_path / "rules", [rule("dc cvac@twice"), rule("*@*")])
    assert (tmp_path / "rules").read_text().splitlines() == [
        "0 drop 7 -1 pc_pa 40201000 40201010",
        "0 drop 7 -1 pc 10 20",
        "1 drop -1 -1 any 0 ffffffffffffffff",
    ]


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--drop", "dc civac", "not of the form OP@WHERE"),
        ("--drop", "dc civac=dc cvau@clean", "not of the form OP@WHERE"),
        ("--weaken", "dc civac@clean", "not of the form OP=NEWOP@WHERE"),
        ("--drop", "dc clean@clean", "'dc clean' is no maintenance operation; accepted: dc cvac"),
        ("--drop", "ld@clean", "'ld' is no maintenance"),
        ("--drop", "dc civac@claen", "no symbol file has a function 'claen'; similar: clean"),
        ("--drop", "dc civac@0x20-0x10", "empty or too large"),
        ("--drop", "dc civac@12", "'12' is no place"),
        ("--drop", "dc civac@va:0x1-0x2", "is no place; accepted: SYMBOL"),
        ("--drop", "dc civac@", "is no place"),
        ("--weaken", "dc civac=ic ivau@clean", "can only become"),
        ("--weaken", "dc civac=dc *@clean", "is not one operation"),
        ("--weaken", "*=dc cvau@clean", "can only become"),
    ],
)
def test_refused(option: str, text: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        rule(text, option)
    assert says in str(error.value)
    assert text in str(error.value), "the value is named"


def test_too_many() -> None:
    with pytest.raises(UsageError, match=r"65 .*at most 64"):
        check_count([rule("*@*")] * 65)
    with pytest.raises(UsageError, match=r"4001 ranges of addresses; at most 4000"):
        check_count([Rule("*@a*", "--drop", (), None, (Place("any"),) * 4001)])
