"""A platform as the keys of a platform file: what a report keeps of `auto` and of users' platforms.

`platforms.of_table` is the other direction; the two are each other's inverse.
"""

from __future__ import annotations

from typing import Any

from pocwatch.platforms import Level, Platform
from pocwatch.platforms.geometry import Geometry


def table(platform: Platform) -> dict[str, Any]:
    """Return every key of the platform's file, also those that have the default."""
    unified = platform.first_unified
    return {
        "description": platform.description,
        "source": platform.source,
        "pes": platform.pes,
        "first_unified": (*(level.name for level in platform.levels), "memory")[unified],
        "idc": platform.idc,
        "dic": platform.dic,
        "dminline_bytes": platform.dminline_bytes,
        "stage2_forces_wb": platform.stage2_forces_wb,
        "icache": platform.icache.value,
        "l1i": _shape(platform.l1i),
        "levels": [_level(level) for level in platform.levels],
    }


def _level(level: Level) -> dict[str, Any]:
    return {
        "name": level.name,
        "by_va": level.by_va,
        "set_way": level.set_way,
        "outer": level.outer,
        **_shape(level.geometry),
        "sharers": level.geometry.sharers,
    }


def _shape(geometry: Geometry) -> dict[str, Any]:
    return {
        "size_kib": geometry.size_kib,
        "ways": geometry.ways,
        "replacement": geometry.replacement.value,
    }
