"""The demonstration machine: made from distribution packages once, then taken from the cache.

The cache folder holds `apt/` (packages.py), `packages-<release>/` and
`machine-<release>-<digest>/` (recipe.py); a second run uses no network.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pocwatch.demo import cache, guest_dtb, initramfs, recipe
from pocwatch.demo.cache import Progress
from pocwatch.demo.errors import UnknownNameError

_T = TypeVar("_T")

RELEASE = "bookworm"
"""The Debian release whose kernel is shown, on every machine: findings.md analyses this one."""

HOST_MEMORY_MIB = 512

# QEMU hw/arm/boot.c: RAM of `virt`, plus 2 MiB for its own start code if the text offset is 0.
_VIRT_RAM_BASE, _QEMU_START_CODE_BYTES = 0x40000000, 2 << 20

default_cache_dir = cache.default_dir


@dataclass(frozen=True)
class Cpu:
    """A CPU of the demonstration: QEMU's argument, and how KVM uses it."""

    argument: str
    kvm: str


CPUS: Mapping[str, Cpu] = {
    "cortex-a57": Cpu("cortex-a57", "nVHE"),
    "neoverse-n1": Cpu("neoverse-n1", "VHE"),
    # The architected pointer authentication algorithm is very slow in emulation.
    "max": Cpu("max,pauth-impdef=on", "VHE with FWB"),
}

SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "host": (initramfs.HOST_REACHED,),
    "guest": (
        initramfs.HOST_REACHED,
        initramfs.GUEST_REACHED,
        f"{initramfs.GUEST_FINISHED} 0",
    ),
}
"""What each scenario prints on its console, in this order, if all goes well."""


@dataclass(frozen=True)
class SymbolFile:
    """Where a program's symbols are; for a kernel's image, also the (I)PA it is loaded at."""

    path: Path
    load_address: int | None = None


@dataclass(frozen=True)
class Machine:
    """Files of the demonstration machine.

    `initrds` is by scenario; `symbols` by the program's name as `--symbols` takes it: the kernels
    `host` and `guest`, the host's `vmm`, and `guest-boot`, the guest's first instructions.
    """

    kernel: Path
    initrds: Mapping[str, Path]
    symbols: Mapping[str, SymbolFile]
    packages: Mapping[str, str]

    def symbol_options(self) -> tuple[str, ...]:
        """Return what `--symbols` is to be given."""
        return tuple(
            f"{name}={file.path}"
            if file.load_address is None
            else f"{name}@{file.load_address:#x}={file.path}"
            for name, file in self.symbols.items()
        )

    def qemu_args(
        self, *, cpu: str = "cortex-a57", smp: int = 1, scenario: str = "guest"
    ) -> list[str]:
        """Return the whole command line. The machine ends QEMU by powering off."""
        return [
            "qemu-system-aarch64",
            *("-M", "virt,virtualization=on,gic-version=3"),
            *("-cpu", _choose("CPU", cpu, CPUS).argument),
            *("-accel", f"tcg,thread={'single' if smp == 1 else 'multi'}"),
            *("-smp", str(smp)),
            *("-m", f"{HOST_MEMORY_MIB}M"),
            *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
            *("-kernel", str(self.kernel)),
            *("-initrd", str(_choose("scenario", scenario, self.initrds))),
            *("-append", initramfs.COMMAND_LINE),
        ]


    def copied_to(self, folder: Path) -> Machine:
        """Return the machine with copies of its files in a folder, under plain names.

        Raises OSError. Files of these names are overwritten, others left alone.
        """
        folder.mkdir(parents=True, exist_ok=True)
        there = {
            old: Path(shutil.copyfile(old, folder / old.name))
            for old in {
                self.kernel,
                *self.initrds.values(),
                *(file.path for file in self.symbols.values()),
            }
        }
        return replace(
            self,
            kernel=there[self.kernel],
            initrds={name: there[path] for name, path in self.initrds.items()},
            symbols={
                name: replace(file, path=there[file.path]) for name, file in self.symbols.items()
            },
        )


def _choose(what: str, name: str, known: Mapping[str, _T]) -> _T:
    if name not in known:
        raise UnknownNameError(f"{what} '{name}' is unknown; accepted: {', '.join(known)}")
    return known[name]


def prepare(
    cache_dir: Path, *, progress: Progress = lambda _: None, release: str = RELEASE
) -> Machine:
    """Make the machine, or find it in the cache. Raises DemoError."""
    cache_dir = cache_dir.absolute()
    with cache.locked(cache_dir, progress):
        taken = cache.entry(
            cache_dir / f"packages-{release}",
            lambda folder: recipe.take_from_packages(folder, cache_dir / "apt", release, progress),
        )
        built = cache.entry(
            cache_dir / f"machine-{release}-{recipe.digest(taken)}",
            lambda folder: recipe.build(folder, taken, progress),
        )
        cache.remove_others(built, f"machine-{release}-*")
    kernel = taken / "Image"
    text_offset = _text_offset(kernel)
    start_code = 0 if text_offset else _QEMU_START_CODE_BYTES
    guest_base = guest_dtb.read_layout()["RAM_BASE"]
    return Machine(
        kernel=kernel,
        initrds={name: built / f"{name}.cpio" for name in SCENARIOS},
        symbols={
            "host": SymbolFile(kernel, _VIRT_RAM_BASE + start_code + text_offset),
            "guest": SymbolFile(kernel, guest_base + text_offset),
            "vmm": SymbolFile(built / "vmm"),
            "guest-boot": SymbolFile(built / "boot.symbols"),
        },
        packages=json.loads((taken / "manifest.json").read_text())["packages"],
    )


def _text_offset(kernel: Path) -> int:
    """Return where in RAM, from a multiple of 2 MiB, the kernel wants to be (its own header)."""
    with kernel.open("rb") as file:
        (offset,) = struct.unpack_from("<Q", file.read(64), 8)
    return int(offset)
