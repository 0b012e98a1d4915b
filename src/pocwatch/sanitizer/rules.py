"""`--drop` and `--weaken`: maintenance that the emulated machine is to forget or do by halves.

A rule is `OP@WHERE` or `OP=NEWOP@WHERE`. It becomes lines of the rules file that the plugin reads:
`INDEX ACTION OP NEWOP SPACE LO HI`, numbers of `arch.ops.Op` (-1: any), half-open ranges in hex.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocwatch.arch.ops import BY_SPELLING, DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, Op
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.symbols import Range
from pocwatch.trace.records import MAX_RULES

_MAINTENANCE = frozenset(DATA_MAINTENANCE) | INSTRUCTION_MAINTENANCE
_MAX_LINES = 4000  # of the rules file; plugin/rules.c
_EVERYWHERE = Range(0, 0xFFFF_FFFF_FFFF_FFFF)
_ADDRESSES = re.compile(
    r"(?:(?P<space>pc|pa|ipa)\s*[: ]\s*)?(?P<lo>0x[0-9a-f]+)(?:\s*-\s*(?P<hi>0x[0-9a-f]+))?",
    re.IGNORECASE,
)
_USER = Range(0, 1 << 48)  # TTBR0's half, where programs have their code
_SPACES = "SYMBOL, user, PC:0xLO-0xHI, IPA:0xLO-0xHI, PA:0xLO-0xHI or *"


_SYMBOLS = "symbols come from --symbols or the -kernel image"
_SYMBOLS_OF = {"--policy-drop": "a trace knows the functions that did something it kept"}


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses that a rule applies to, in one address space of the rules file."""

    space: str  # any, pc, pc_pa, ipa, pa
    range: Range = _EVERYWHERE


# Finds the places of a symbol; empty when there is none.
FindSymbol = Callable[[str], Sequence[Place]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One `--drop` or `--weaken` option."""

    text: str
    option: str  # "--drop", "--weaken", or of a replay "--policy-drop"
    ops: tuple[Op, ...]  # empty: any maintenance
    becomes: Op | None  # None: dropped
    places: tuple[Place, ...]

    def lines(self, index: int) -> list[str]:
        """Return the rule as lines of the rules file."""
        action = "drop" if self.becomes is None else "weaken"
        new = -1 if self.becomes is None else int(self.becomes)
        return [
            f"{index} {action} {op} {new} {place.space} {place.range.low:x} {place.range.high:x}"
            for op in (map(int, self.ops) if self.ops else (-1,))
            for place in self.places
        ]


def _op(text: str, option: str, whole: str) -> tuple[Op, ...]:
    spelling = re.sub(r"[\s_]+", " ", text.strip().lower())
    if spelling in ("*", "any"):
        return ()
    if spelling in ("dc *", "ic *"):
        return tuple(sorted(op for op in _MAINTENANCE if op.spelling.startswith(spelling[:3])))
    op = BY_SPELLING.get(spelling)
    if op is None or op not in _MAINTENANCE:
        names = ", ".join(o.spelling for o in sorted(_MAINTENANCE))
        raise UsageError(
            f"{option} {whole!r}: {text.strip()!r} is no maintenance operation; "
            f"accepted: {names}, dc *, ic *, *"
        )
    return (op,)


def _places(where: str, option: str, whole: str, find_symbol: FindSymbol) -> tuple[Place, ...]:
    where = where.strip()
    if where == "*":
        return (Place("any"),)
    if where == "user":
        return (Place("pc", _USER),)
    match = _ADDRESSES.fullmatch(where)
    if match is not None:
        low = int(match["lo"], 16)
        high = int(match["hi"], 16) if match["hi"] else low + 4
        if not low < high <= _EVERYWHERE.high:
            raise UsageError(
                f"{option} {whole!r}: the range {where!r} is empty or too large; "
                "it is 0xLO-0xHI, LO included, HI not"
            )
        return (Place((match["space"] or "pc").lower(), Range(low, high)),)
    if not where or re.search(r"\s|:|=", where) or where[0].isdigit():
        raise UsageError(f"{option} {whole!r}: {where!r} is no place; accepted: {_SPACES}")
    return tuple(find_symbol(where))


def parse(
    option: str, text: str, find_symbol: FindSymbol, similar: Callable[[str], list[str]]
) -> Rule:
    """Read one rule. Raise UsageError naming what is wrong and what is accepted."""
    what, at, where = text.partition("@")
    old, equals, new = what.partition("=")
    weakens = option == "--weaken"
    form = "OP=NEWOP@WHERE" if weakens else "OP@WHERE"
    if not at or bool(equals) != weakens:
        raise UsageError(f"{option} {text!r}: not of the form {form}; WHERE is {_SPACES}")
    ops = _op(old, option, text)
    becomes = None
    if equals:
        replacement = _op(new, option, text)
        if len(replacement) != 1:
            raise UsageError(f"{option} {text!r}: {new!r} is not one operation; give e.g. dc cvau")
        becomes = replacement[0]
        if not ops or any((op in DATA_MAINTENANCE) != (becomes in DATA_MAINTENANCE) for op in ops):
            raise UsageError(
                f"{option} {text!r}: a data cache operation can only become another one, and an "
                "instruction cache operation another one"
            )
    places = _places(where, option, text, find_symbol)
    if not places:
        near = similar(where.strip())
        hint = f"; similar: {', '.join(near)}" if near else ""
        raise UsageError(
            f"{option} {text!r}: no symbol file has a function {where.strip()!r}{hint}; "
            f"accepted: {_SPACES} ({_SYMBOLS_OF.get(option, _SYMBOLS)})"
        )
    return Rule(text, option, ops, becomes, places)


def write(path: Path, rules: Sequence[Rule]) -> None:
    """Write the rules file."""
    lines = [line for index, rule in enumerate(rules) for line in rule.lines(index)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def check_count(rules: Sequence[Rule]) -> None:
    """Refuse more rules than the run file has counters."""
    if len(rules) > MAX_RULES:
        raise UsageError(
            f"{len(rules)} --drop and --weaken options; at most {MAX_RULES} are accepted"
        )
    lines = sum(len(rule.lines(index)) for index, rule in enumerate(rules))
    if lines > _MAX_LINES:
        raise UsageError(
            f"--drop and --weaken stand for {lines} ranges of addresses; at most {_MAX_LINES} are "
            "accepted: name fewer functions, or use @*"
        )
