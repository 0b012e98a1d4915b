"""C declarations of ctypes structures and enums: what crosses the seam is declared once, in Python."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Iterable, Mapping
from typing import Any

_C_TYPES: Mapping[Any, str] = {
    ctypes.c_char: "char",
    ctypes.c_uint8: "uint8_t",
    ctypes.c_uint16: "uint16_t",
    ctypes.c_int16: "int16_t",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_uint64: "uint64_t",
}


def enumeration(prefix: str, members: Iterable[enum.IntEnum | enum.IntFlag]) -> list[str]:
    """Return the lines of an anonymous enum; names are `PREFIX_MEMBER`."""
    return ["enum {", *(f"    {prefix}_{m.name} = {m.value}," for m in members), "};"]


def structure(
    name: str,
    of: type[ctypes.Structure],
    others: Mapping[Any, str] | None = None,
    *,
    packed: bool = True,
) -> list[str]:
    """Return the lines of a struct with an assertion of its size.

    `others` names the structures that fields are made of. Raises KeyError for a type with no name.
    """
    names = {**_C_TYPES, **{kind: f"struct {other}" for kind, other in (others or {}).items()}}
    return [
        f"struct {'__attribute__((packed)) ' if packed else ''}{name} {{",
        *(f"    {_field(names, *field)}" for field in of._fields_),
        "};",
        f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(of)}, "{of.__name__}");',
    ]


def _field(names: Mapping[Any, str], name: str, kind: Any, bits: int | None = None) -> str:
    dimensions = f" : {bits}" if bits else ""
    while isinstance(kind, type) and issubclass(kind, ctypes.Array):
        dimensions += f"[{kind._length_}]"
        kind = kind._type_
    return f"{names[kind]} {name}{dimensions};"
