"""The profile of maintenance: what each call site did, what of it was redundant, and what that cost.

Costs are those of one operation after the other (`pocwatch.cost`). Whether a line that need not be
written back is in a cache when it is cleaned is not known: its cost lies between that of a line that no
cache has and that of one that caches have clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.cost.model import CostModel
from pocwatch.cost.quantity import Estimate, total
from pocwatch.report import words
from pocwatch.sanitizer.profile import CallSite, Profile

_WIDTH = 78
_INDENT = " " * 6
_TO_POC = (Op.DC_CVAC, Op.DC_CVAP, Op.DC_CIVAC, Op.DC_IVAC)
_COSTS = {
    Op.DC_CVAU: "dc_pou",
    Op.DC_CSW: "set_way_line",
    Op.DC_CISW: "set_way_line",
    Op.DC_ISW: "set_way_line",
    Op.IC_IVAU: "ic_ivau",
    Op.IC_IALLU: "ic_iallu",
    Op.IC_IALLUIS: "ic_ialluis",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A call site with its price; `waste` is the part of `cost` that was for nothing."""

    site: CallSite
    cost: Estimate
    waste: Estimate


def rows(profile: Profile, model: CostModel) -> list[Row]:
    """Return the call sites, the largest waste first; then the most redundant operations."""
    priced = [_priced(site, model) for site in profile.sites]
    return sorted(priced, key=lambda r: (-r.waste.typical, -r.site.redundant, -r.site.count, _name(r)))


def _priced(site: CallSite, model: CostModel) -> Row:
    if site.op in _TO_POC:
        absent, clean = model["dc_poc_absent"], model["dc_poc_clean"]
        unknown = Estimate(
            min(absent.low, clean.low),
            (absent.typical + clean.typical) / 2,
            max(absent.high, clean.high),
        )
        each = unknown
        cost = model["dc_poc_dirty"] * site.dirty + unknown * (site.count - site.dirty)
    else:
        each = model[_COSTS[site.op]]
        cost = each * site.count
    return Row(site, cost, each * site.redundant)


def _name(row: Row) -> str:
    return ";".join(f"{frame.pc:x}" for frame in row.site.stack)


def data(profile: Profile, model: CostModel) -> dict[str, Any]:
    """Return the profile as plain values. Times are in ns; addresses are hex strings."""
    return {
        "platforms": list(profile.platforms),
        "costs": model.name,
        "cost_warnings": list(model.warnings),
        "sites": [
            {
                "op": row.site.op.spelling,
                "el": row.site.el,
                "vm": row.site.vm,
                "stack": [
                    {"pc": words.hexadecimal(frame.pc), "symbol": frame.symbol}
                    for frame in row.site.stack
                ],
                "count": row.site.count,
                "judged": row.site.judged,
                "lines": row.site.lines,
                "redundant": row.site.redundant,
                "needed": dict(row.site.needed),
                "cost_ns": _bounds(row.cost),
                "waste_ns": _bounds(row.waste),
            }
            for row in rows(profile, model)
        ],
    }


def _bounds(estimate: Estimate) -> dict[str, float]:
    return {"low": estimate.low, "typical": estimate.typical, "high": estimate.high}


def text(profile: Profile, model: CostModel, most: int = 20) -> str:
    """Return the table, of at most `most` call sites."""
    table = rows(profile, model)
    done = sum(row.site.count for row in table)
    redundant = sum(row.site.redundant for row in table)
    lines = [
        f"pocwatch: profile on platform {profile.platforms[0]}: {_counted(done, 'operation')} at "
        f"{_counted(len(table), 'call site')},",
        f"  {_share(redundant, done)} redundant",
        f"  estimated by cost set {model.name}: {total(r.cost for r in table)}, of which wasted "
        f"{total(r.waste for r in table)}",
        *(f"  warning: {warning}" for warning in model.warnings),
        "",
        f"  {'wasted':<22}{'redundant':>19}{'operations':>13}{'lines':>11}  operation",
    ]
    for row in table[:most]:
        lines += _told(row, profile.platforms)
    if len(table) > most:
        lines.append(f"  and {_counted(len(table) - most, 'more call site')}; --profile-json has all")
    return "\n".join(lines) + "\n"


def _told(row: Row, platforms: Sequence[str]) -> Iterator[str]:
    site = row.site
    told = _share(site.redundant, site.judged) if site.judged else "not judged"
    yield (
        f"  {row.waste!s:<22}{told:>19}{site.count:>13,}{site.lines:>11,}  {site.op.spelling}"
    )
    where = f"EL{site.el}{', guest' if site.vm else ''}: "
    if site.stack:
        own = site.stack[0].symbol or f"{site.stack[0].pc:#x}"
        callers = words.callers(site.stack)
        where += f"{own} < {callers}" if callers else own
    yield from _wrapped(where)
    if len(platforms) > 1 and site.judged:
        needed = ", ".join(site.needed_on()) or "no platform"
        yield from _wrapped(f"needed on {needed}")


def _wrapped(text: str) -> list[str]:
    return wrap(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}" if count else f"no {noun}s"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else "0"


def folded(profile: Profile, model: CostModel, value: str = "operations") -> str:
    """Return the call sites as folded stacks, one a line, for flame graphs (Brendan Gregg's format).

    A line is frames from the outermost to the operation, separated by `;`, a space, and a whole
    number: of `operations`, of `redundant` ones, or `ns` wasted. Stacks without any are left out.
    """
    sums: dict[str, int] = {}
    for row in rows(profile, model):
        amount = {
            "operations": row.site.count,
            "redundant": row.site.redundant,
            "ns": round(row.waste.typical),
        }[value]
        frames = [_folded_name(words.function_or_pc(frame)) for frame in reversed(row.site.stack)]
        line = ";".join([*frames, _folded_name(row.site.op.spelling)])
        sums[line] = sums.get(line, 0) + amount
    return "".join(f"{line} {amount}\n" for line, amount in sorted(sums.items()) if amount)


def _folded_name(name: str) -> str:
    return name.replace(";", ":").replace("\n", " ")
