"""What Linux says of the machine to measure."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from pocwatch.cost.calibrate.errors import CannotCalibrateError

SYSFS_CPU = Path("/sys/devices/system/cpu/cpu0")
_UNITS = {"K": 1, "M": 1024}


def require_arm64() -> None:
    """Raise CannotCalibrateError unless this is Arm64 Linux."""
    if sys.platform != "linux" or platform.machine() not in ("aarch64", "arm64"):
        raise CannotCalibrateError(
            f"calibrate measures the machine it runs on, which must be Arm64 Linux; this is "
            f"{platform.machine()} {platform.system()}: run it on the machine that is meant (to try "
            "it without meaningful numbers: --runner qemu-aarch64 --compiler aarch64-linux-gnu-gcc)"
        )


def cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def last_cache_kib(cpu: Path = SYSFS_CPU) -> int:
    """Return the size, in KiB, of the last cache that Linux knows of.

    Raises CannotCalibrateError where it knows of none, as in many virtual machines. A system cache
    that firmware does not describe is not in it either.
    """
    found: dict[int, int] = {}
    for index in sorted(cpu.glob("cache/index*")):
        try:
            level = int((index / "level").read_text())
            size = re.fullmatch(r"(\d+)([KM])\s*", (index / "size").read_text())
        except (OSError, ValueError):
            continue
        if size:
            found[level] = max(found.get(level, 0), int(size[1]) * _UNITS[size[2]])
    if not found:
        raise CannotCalibrateError(
            f"Linux does not know the caches of this machine ({cpu}/cache): give the size of the last "
            "one with --last-cache-kib N"
        )
    return found[max(found)]


def midr(cpu: Path = SYSFS_CPU) -> str:
    """Return MIDR_EL1 as Linux shows it, such as 0x00000000481fd010; empty where it does not."""
    try:
        return (cpu / "regs" / "identification" / "midr_el1").read_text().strip()
    except OSError:
        return ""
