"""The files of the cases: taken from Debian's packages once, then from pocwatch's cache folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pocwatch.demo import cache, machine, recipe
from pocwatch.demo.cache import Progress
from pocwatch.demo.errors import DemoError
from pocwatch.demo.packages import AptRoot

HERE = Path(__file__).parent

# package -> file in it -> name here; `*` stands for versions.
PACKAGES: Mapping[str, Mapping[str, str]] = {
    "u-boot-qemu": {"usr/lib/u-boot/qemu_arm64/u-boot.bin": "u-boot.bin"},
    "qemu-efi-aarch64": {"usr/share/qemu-efi-aarch64/QEMU_EFI.fd": "QEMU_EFI.fd"},
    "xen-hypervisor-4.17-arm64": {"boot/xen-4.17-arm64": "xen"},
    "linux-image-": {
        "lib/modules/*/kernel/lib/crc-itu-t.ko": "crc-itu-t.ko",
        "lib/modules/*/kernel/crypto/rmd160.ko": "rmd160.ko",
        "lib/modules/*/kernel/crypto/md4.ko": "md4.ko",
    },
}


@dataclass(frozen=True)
class Files:
    """Where the files are: a folder with those of `PACKAGES` and `poke`, and the demonstration's."""

    folder: Path
    machine: machine.Machine

    @property
    def kernel(self) -> Path:
        """Linux's Image."""
        return self.machine.kernel

    @property
    def busybox(self) -> bytes:
        """A static busybox for arm64."""
        return (self.kernel.parent / "busybox").read_bytes()

    def __getitem__(self, name: str) -> Path:
        return self.folder / name


def prepare(progress: Progress = lambda _: None) -> Files:
    """Make the files, or find them in the cache. Raises DemoError."""
    root = cache.default_dir()
    prepared = machine.prepare(root, progress=progress)
    digest = hashlib.sha256(repr((PACKAGES, prepared.packages)).encode())
    digest.update((HERE / "poke.c").read_bytes())
    with cache.locked(root, progress):
        folder = cache.entry(
            root / f"systems-{machine.RELEASE}-{digest.hexdigest()[:16]}",
            lambda folder: _fill(folder, root / "apt", progress),
        )
    return Files(folder, prepared)


def _fill(folder: Path, apt_root: Path, progress: Progress) -> None:
    apt = AptRoot(apt_root, machine.RELEASE)
    apt.update()
    kernel = apt.dependency(recipe.KERNEL_PACKAGE, "linux-image-")
    wanted = {kernel if name.endswith("-") else name: files for name, files in PACKAGES.items()}
    progress(f"downloading {', '.join(wanted)}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        for package in apt.download(list(wanted), work / "debs"):
            package.extract(work / package.name)
            for pattern, target in wanted[package.name].items():
                found = sorted((work / package.name).glob(pattern))
                if not found:
                    raise DemoError(f"package '{package.name}' holds no {pattern}")
                shutil.copyfile(found[0], folder / target)
    command = [recipe.COMPILER, "-std=c11", "-O2", "-static", "-Wl,-Ttext-segment=0x10000000"]
    done = subprocess.run(
        [*command, "-o", folder / "poke", HERE / "poke.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"{recipe.COMPILER} could not build poke.c: {done.stderr.strip()}")
