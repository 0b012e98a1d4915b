"""Named cache hierarchies: TOML files of the package, or the user's own, as validated records.

A platform says which caches lie between a PE and the Point of Coherency, which of them each kind of
maintenance reaches, and what CTR_EL0 promises (IDC, DIC). Facts A6, A14, A15, C1, C2, C14. How large
the caches are (geometry.py) only matters to what maintenance costs.
"""

from __future__ import annotations

import enum
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from pocwatch.platforms import geometry as geometries
from pocwatch.platforms.errors import PlatformError as PlatformError
from pocwatch.platforms.geometry import Geometry

MAX_LEVELS = 4


class ICache(enum.Enum):
    """Which entries of an instruction cache maintenance by VA finds. Facts A23, B1.11, C14."""

    PIPT = "pipt"  # by physical address: all aliases
    VIPT = "vipt"  # those of the VA's index: aliases at other VAs may stay
    VPIPT = "vpipt"  # PIPT, tagged with the VMID: those of the current VMID
    AIVIVT = "aivivt"  # virtual, tagged with ASID and VMID: those of the current context and VA

    @property
    def vmid_tagged(self) -> bool:
        """Whether a VM never hits what was fetched under another VMID."""
        return self in (ICache.VPIPT, ICache.AIVIVT)


@dataclass(frozen=True, slots=True)
class Level:
    """One data-side cache: what can reach it, and its shape."""

    name: str
    by_va: bool
    set_way: bool
    outer: bool = False  # has a controller of its own: `outer clean|inv|flush` reaches it
    geometry: Geometry = geometries.DEFAULT_L1


@dataclass(frozen=True, slots=True)
class Platform:
    """The caches from the PEs (level 0) to the Point of Coherency, and what the CPU says of itself."""

    name: str
    description: str
    pes: int
    levels: tuple[Level, ...]
    first_unified: int  # index of the first level that instruction fetches see, without IDC
    idc: bool = False
    dic: bool = False
    dminline_bytes: int = 64
    stage2_forces_wb: bool = False
    icache: ICache = ICache.PIPT
    l1i: Geometry = geometries.DEFAULT_L1
    source: str = ""

    @property
    def pou(self) -> int:
        """Index of the level at the Point of Unification: 0 with IDC (facts C14)."""
        return 0 if self.idc else self.first_unified

    def reached(self, by: str) -> tuple[int, ...]:
        """Return the indices of the levels that `by` ("by_va", "set_way", "outer") reaches."""
        return tuple(i for i, level in enumerate(self.levels) if getattr(level, by))


def names() -> tuple[str, ...]:
    """Return the names of the shipped platforms, sorted."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load(name_or_path: str) -> Platform:
    """Return a shipped platform by name, or the one described by a TOML file.

    Raises PlatformError, naming the thing, the value and what is accepted.
    """
    if name_or_path in names():
        text = (resources.files(__name__) / f"{name_or_path}.toml").read_text()
        return parse(text, name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise PlatformError(
            f"unknown platform {name_or_path!r}: accepted are {', '.join(names())}, "
            "or the path of a .toml file"
        )
    try:
        return parse(path.read_text(), path.stem)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PlatformError(f"platform file {name_or_path!r} cannot be read: {reason}") from None


_KEYS: dict[str, type] = {
    "description": str,
    "pes": int,
    "first_unified": str,
    "idc": bool,
    "dic": bool,
    "dminline_bytes": int,
    "stage2_forces_wb": bool,
    "icache": str,
    "l1i": dict,
    "source": str,
    "levels": list,
}
_LEVEL_KEYS: dict[str, type] = {
    "name": str,
    "by_va": bool,
    "set_way": bool,
    "outer": bool,
    **geometries.LEVEL_KEYS,
}
_TOML_TYPES = {dict: "table", list: "array", str: "string", bool: "boolean", int: "integer"}


def _checked(table: dict[str, Any], keys: dict[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in keys:
            raise PlatformError(f"{where}: unknown key {key!r}: accepted are {', '.join(keys)}")
        if type(value) is not keys[key]:
            raise PlatformError(
                f"{where}: {key} is {value!r}: it takes a TOML {_TOML_TYPES[keys[key]]}"
            )


def _levels(tables: list[Any], line_bytes: int, where: str) -> list[Level]:
    if not 1 <= len(tables) <= MAX_LEVELS:
        raise PlatformError(f"{where}: {len(tables)} levels: accepted are 1 to {MAX_LEVELS}")
    levels: list[Level] = []
    for index, entry in enumerate(tables):
        if not isinstance(entry, dict):
            raise PlatformError(f"{where}: levels must be tables ([[levels]])")
        _checked(entry, _LEVEL_KEYS, f"{where}, levels")
        if "name" not in entry:
            raise PlatformError(f"{where}: a level has no name")
        levels.append(
            Level(
                entry["name"],
                entry.get("by_va", True),
                entry.get("set_way", True),
                entry.get("outer", False),
                geometries.geometry(
                    entry,
                    geometries.default_level(index, len(tables)),
                    line_bytes,
                    f"{where}, {entry['name']}",
                ),
            )
        )
    geometries.check_nesting([(level.name, level.geometry) for level in levels], where)
    return levels


def parse(text: str, name: str) -> Platform:
    """Return the platform that a TOML text describes. Raises PlatformError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlatformError(f"platform {name!r}: not TOML: {error}") from None
    return of_table(table, name)


def of_table(table: dict[str, Any], name: str) -> Platform:
    """Return the platform that the keys of a platform file describe. Raises PlatformError."""
    where = f"platform {name!r}"
    _checked(table, _KEYS, where)
    for key in ("pes", "levels", "first_unified"):
        if key not in table:
            raise PlatformError(f"{where}: {key} is missing")
    if not 1 <= table["pes"] <= 64:
        raise PlatformError(f"{where}: pes is {table['pes']}: accepted are 1 to 64")
    line_bytes = table.get("dminline_bytes", 64)
    if line_bytes not in (16, 32, 64, 128, 256):
        raise PlatformError(
            f"{where}: dminline_bytes is {line_bytes}: accepted are 16, 32, 64, 128, 256"
        )
    levels = _levels(table["levels"], line_bytes, where)
    unified = [i for i, level in enumerate(levels) if level.name == table["first_unified"]]
    if table["first_unified"] == "memory":
        unified = [len(levels)]
    if len(unified) != 1:
        raise PlatformError(
            f"{where}: first_unified is {table['first_unified']!r}: accepted is the name of one "
            f"level ({', '.join(level.name for level in levels)}) or 'memory'"
        )
    kinds = [kind.value for kind in ICache]
    if table.get("icache", "pipt") not in kinds:
        raise PlatformError(
            f"{where}: icache is {table['icache']!r}: accepted are {', '.join(kinds)}"
        )
    l1i = table.get("l1i", {})
    _checked(l1i, geometries.KEYS, f"{where}, l1i")
    return Platform(
        name=name,
        description=table.get("description", ""),
        pes=table["pes"],
        levels=tuple(levels),
        first_unified=unified[0],
        idc=table.get("idc", False),
        dic=table.get("dic", False),
        dminline_bytes=line_bytes,
        stage2_forces_wb=table.get("stage2_forces_wb", False),
        icache=ICache(table.get("icache", "pipt")),
        l1i=geometries.geometry(l1i, geometries.DEFAULT_L1, line_bytes, f"{where}, l1i"),
        source=table.get("source", ""),
    )


def auto(cpu_model: str, pes: int, *, idc: bool, dic: bool) -> Platform:
    """Return the platform of `--platform auto`: the CPU's own caches plus the thread's external L3.

    `idc` and `dic` are what the CPU promises; False is the careful choice for one that is not known.
    Lines are of 64 bytes, whatever the CPU says: the sanitizer follows no other size.
    """
    base = load("xgene-l3" if pes > 1 else "xgene-l3-up")
    return replace(
        base,
        name="auto",
        description=f"{cpu_model or 'CPU'} as QEMU shows it, with an L3 outside the CPU",
        pes=pes,
        idc=idc,
        dic=dic,
    )
