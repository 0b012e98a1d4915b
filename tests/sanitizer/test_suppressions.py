"""Accepted findings: matched by patterns, with a reason, counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import raw_records as raw

from pocwatch.arch.ops import Kind, Op
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.locate import Locator, Program
from pocwatch.sanitizer.suppressions import load, parse, shipped
from pocwatch.sanitizer.suppressions.apply import sort_out
from pocwatch.sanitizer.symbols import Symbol, SymbolTable
from pocwatch.trace.records import FindingKind, Flag

GOOD = """
[[suppress]]
name = "fixmap"
kind = "stale-fetch"
pc_symbol = "__set_fixmap+0x4"
reason = "ftrace patches it"
"""


def finding(flags: int = 0, seq: int = 6, kind: str = "STALE_FETCH") -> Finding:
    """A finding with one event of history; the latest data was written at 5."""
    base = 0x8020_0000
    table = SymbolTable.of("t", [Symbol(base - 4, "__set_fixmap"), Symbol(base + 64, "next")])
    found = raw.finding(
        FindingKind[kind],
        raw.guest_access(Op.IF, Kind.WB),
        history=(raw.event(seq, Op.DC_CVAU, flags=flags),),
    )
    return Analyst(Locator([Program("guest", table)]), [], raw.PLATFORM, raw.describe).finding(
        found
    )


@pytest.mark.parametrize(
    ("line", "matches"),
    [
        ('pc_symbol = "__set_fixmap"', True),
        ('pc_symbol = "__set_*"', True),
        ('pc_symbol = "__set_fixmap+0x4"', True),
        ('pc_symbol = "__set_fixmap+0x8"', False),
        ('instruction = "0xd503201f"', True),
        ('instruction = "0xaa1e03e9"', False),
        ('kind = "stale-*"', True),
        ('kind = "stale-read"', False),
        ('writer_symbol = "memcpy"', False),
        ('writer_symbol = ""', True),
        ('pc_symbol = ""', False),
        ('pc_symbol = "__set_fixmap+0x0"', False),
        ('pc = "0x80200000"', True),
        ('pc = "0x80200004"', False),
        ('world = "guest"', True),
        ('world = "host"', False),
    ],
)
def test_patterns(line: str, matches: bool) -> None:
    (rule,) = parse(f'[[suppress]]\nname="n"\nreason="r"\n{line}', "f")
    assert rule.matches(finding()) is matches


def test_suppressed_findings_are_counted() -> None:
    kept, suppressed = sort_out([finding(), finding()], parse(GOOD, "f"))
    assert kept == []
    (counted,) = suppressed
    assert (counted.rule, counted.count, counted.occurrences) == ("fixmap", 2, 6)


@pytest.mark.parametrize("flag", [Flag.DROPPED, Flag.WEAKENED])
def test_what_a_rule_provoked_is_never_suppressed(flag: Flag) -> None:
    kept, suppressed = sort_out([finding(flag)], parse(GOOD, "f"))
    assert (len(kept), suppressed) == (1, [])


def test_a_rule_that_took_away_older_maintenance_provoked_nothing() -> None:
    kept, suppressed = sort_out([finding(Flag.WEAKENED, seq=4)], parse(GOOD, "f"))
    assert (kept, [each.count for each in suppressed]) == ([], [1])


def test_a_lost_write_is_provoked_by_what_was_missing_before_it() -> None:
    accepted = parse(GOOD.replace("stale-fetch", "lost-write"), "f")
    assert sort_out([finding(seq=4, kind="LOST_WRITE")], accepted)[0] == []
    kept, suppressed = sort_out([finding(Flag.DROPPED, seq=4, kind="LOST_WRITE")], accepted)
    assert (len(kept), suppressed) == (1, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[suppress", "is not TOML"),
        ("other = 1", "'other' is not understood"),
        ("suppress = 1", "is not understood"),
        ('[[suppress]]\nname="a"\nkind="x"', "has no reason"),
        ('[[suppress]]\nname="a"\nkind="x"\nreason=" "', "has no reason"),
        ('[[suppress]]\nreason="a"\nkind="x"', "has no name"),
        ('[[suppress]]\nname="a"\nreason="b"', "would match everything"),
        ('[[suppress]]\nname="a"\nreason="b"\nsymbol="x"', "symbol = 'x'; keys are name, reason"),
        ("suppress = [1]", "is not a table"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text, "file.toml")
    assert says in str(error.value)
    assert "--suppressions file.toml" in str(error.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        load(tmp_path / "binary")


def test_the_shipped_file_is_valid() -> None:
    for rule in shipped():
        assert rule.reason
