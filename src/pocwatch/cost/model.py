"""Cost sets: what each operation costs on a machine, as TOML files of the package or the user's own.

Every cost has a low, a typical and a high value, a unit and a source. A source is a fact ("E1: ..."),
"calibrated: ..." (measured by `pocwatch calibrate`), or "assumed: ..." with the reason. A set is
complete or it is refused: a cost that nobody knows is written down as assumed, and wide.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pocwatch.cost.quantity import Estimate, Unit

# Cost -> what it is for. Everything but the bandwidth is in ns.
COSTS: Mapping[str, str] = {
    "dc_poc_dirty": "DC CVAC, CIVAC or IVAC on a line that some cache has dirty",
    "dc_poc_clean": "the same on a line that caches have clean",
    "dc_poc_absent": "the same on a line that no cache has",
    "dc_pou": "DC CVAU, any state",
    "ic_ivau": "IC IVAU",
    "ic_iallu": "IC IALLU",
    "ic_ialluis": "IC IALLUIS",
    "dsb": "DSB, after the operations it waits for were issued",
    "set_way_line": "DC CSW, CISW or ISW, each line of a loop over sets and ways",
    "stage2_fault": "stage-2 translation fault of a data access, without the maintenance it causes",
    "prefetch_fault": "stage-2 translation fault of an instruction fetch, likewise",
    "permission_fault": "stage-2 permission fault, likewise",
    "trap": "trapped instruction (TVM, TSW, a DC), to the hypervisor and back",
    "clean_bandwidth": "what all PEs together can write back to memory",
}
_UNITS = dict.fromkeys(COSTS, Unit.NS) | {"clean_bandwidth": Unit.BYTES_PER_S}
_SOURCE = re.compile(r"(E\d+[a-z]?|calibrated|assumed)\b.*", re.DOTALL)
_ENTRY_KEYS = ("low", "typical", "high", "unit", "source")
_TOP_KEYS: dict[str, type] = {
    "description": str,
    "machine": str,
    "line_bytes": int,
    "emulated": bool,
    "complete": bool,
    "measurements": list,
}
EMULATED = "its numbers were measured under an emulator and mean nothing"
INCOMPLETE = "its calibration did not run to the end; what was not measured is assumed"


class CostError(ValueError):
    """A cost set that does not exist or does not make sense; the message is for the user."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost and where it comes from."""

    estimate: Estimate
    source: str

    @property
    def assumed(self) -> bool:
        """Whether no figure stands behind it."""
        return self.source.startswith("assumed")


@dataclass(frozen=True, slots=True)
class CostModel:
    """The costs of one machine, by the names in COSTS."""

    name: str
    description: str
    costs: Mapping[str, Cost]
    line_bytes: int = 64
    warnings: tuple[str, ...] = ()  # sentences for whoever uses the numbers

    def __getitem__(self, cost: str) -> Estimate:
        return self.costs[cost].estimate


def names() -> tuple[str, ...]:
    """Return the names of the shipped cost sets, sorted."""
    folder = resources.files("pocwatch.cost") / "costs"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load(name_or_path: str = "default") -> CostModel:
    """Return a shipped cost set by name, or the one of a TOML file.

    Raises CostError, naming the thing, the value and what is accepted.
    """
    if name_or_path in names():
        folder = resources.files("pocwatch.cost") / "costs"
        return parse((folder / f"{name_or_path}.toml").read_text(), name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise CostError(
            f"unknown cost set {name_or_path!r}: accepted are {', '.join(names())}, or the path of "
            "a .toml file (`pocwatch calibrate` writes one)"
        )
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CostError(f"cost file {name_or_path!r} cannot be read: {reason}") from None
    return parse(text, path.stem)


def parse(text: str, name: str) -> CostModel:
    """Return the cost set that a TOML text describes. Raises CostError."""
    where = f"cost set {name!r}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{where}: not TOML: {error}") from None
    for key, value in table.items():
        if key in COSTS:
            continue
        if key not in _TOP_KEYS:
            accepted = ", ".join([*_TOP_KEYS, *COSTS])
            raise CostError(f"{where}: unknown key {key!r}: accepted are {accepted}")
        if type(value) is not _TOP_KEYS[key]:
            raise CostError(
                f"{where}: {key} is {value!r}: it takes a TOML {_TOP_KEYS[key].__name__}"
            )
    line_bytes = table.get("line_bytes", 64)
    if line_bytes not in (16, 32, 64, 128, 256):
        raise CostError(f"{where}: line_bytes is {line_bytes}: accepted are 16, 32, 64, 128, 256")
    warnings = [EMULATED] * table.get("emulated", False)
    warnings += [INCOMPLETE] * (not table.get("complete", True))
    return CostModel(
        name=name,
        description=table.get("description", ""),
        costs={cost: _cost(table, cost, where) for cost in COSTS},
        line_bytes=line_bytes,
        warnings=tuple(f"{where}: {warning}" for warning in warnings),
    )


def _cost(table: dict[str, Any], name: str, where: str) -> Cost:
    if name not in table:
        raise CostError(
            f"{where}: cost {name} is missing ({COSTS[name]}): give low, typical, high, unit and "
            'source; a guess is allowed, with source = "assumed: REASON"'
        )
    entry = table[name]
    if not isinstance(entry, dict):
        raise CostError(f"{where}: {name} is {entry!r}: it takes a table [{name}]")
    for key in entry:
        if key not in _ENTRY_KEYS:
            raise CostError(
                f"{where}: unknown key {name}.{key}: accepted are {', '.join(_ENTRY_KEYS)}"
            )
    for key in _ENTRY_KEYS:
        if key not in entry:
            raise CostError(f"{where}: {name}.{key} is missing")
    unit = _UNITS[name]
    if entry["unit"] != unit.value:
        raise CostError(f"{where}: {name}.unit is {entry['unit']!r}: accepted is {unit.value!r}")
    source = entry["source"]
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        raise CostError(
            f"{where}: {name}.source is {source!r}: accepted are 'E1: ...' (a fact), "
            "'calibrated: ...' and 'assumed: ...'"
        )
    low, typical, high = (_number(entry[key], f"{name}.{key}", where) for key in _ENTRY_KEYS[:3])
    if not low <= typical <= high:
        raise CostError(
            f"{where}: {name} has low {low:g}, typical {typical:g}, high {high:g}: accepted is low "
            "<= typical <= high"
        )
    if unit is Unit.BYTES_PER_S and low == 0:
        raise CostError(f"{where}: {name}.low is 0: accepted is more than 0 {unit.value}")
    return Cost(Estimate(low, typical, high, unit), source)


def _number(value: object, what: str, where: str) -> float:
    if type(value) not in (int, float):
        raise CostError(f"{where}: {what} is {value!r}: it takes a number")
    assert isinstance(value, (int, float))
    if not 0 <= value < math.inf:
        raise CostError(f"{where}: {what} is {value}: accepted are finite numbers from 0")
    return float(value)
