"""How the files of the demonstration machine are made: two folders of the cache.

The first holds what is taken out of Debian's packages, and a manifest; the second what is built
from that: the VMM and an initramfs for each scenario.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from pocwatch.demo import guest_dtb, initramfs, kernel_image
from pocwatch.demo.cache import Progress
from pocwatch.demo.errors import DemoError
from pocwatch.demo.packages import AptRoot

KERNEL_PACKAGE = "linux-image-cloud-arm64"
BUSYBOX_PACKAGE = "busybox-static"

GUEST_MEMORY_MIB = 128

COMPILER = "aarch64-linux-gnu-gcc"
_COMPILER_FLAGS = ("-std=c11", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")
# Not where busybox, static too, has its code: a PC is to say which of the two it is in.
_LINKER_FLAGS = ("-Wl,-Ttext-segment=0x10000000",)


def take_from_packages(folder: Path, apt_root: Path, release: str, progress: Progress) -> None:
    """Fill a folder with `Image`, `busybox` and `manifest.json`, from Debian's packages."""
    apt = AptRoot(apt_root, release)
    progress(f"reading Debian's list of {release} packages for arm64")
    apt.update()
    kernel_name = apt.dependency(KERNEL_PACKAGE, "linux-image-")
    progress(f"downloading {kernel_name} and {BUSYBOX_PACKAGE}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        packages = apt.download([kernel_name, BUSYBOX_PACKAGE], work / "debs")
        for package in packages:
            package.extract(work / "root")
        kernel = _only(work / "root", "boot/vmlinuz-*")
        busybox = _only(work / "root", "bin/busybox", "usr/bin/busybox")
        (folder / "Image").write_bytes(kernel_image.unpack(kernel.read_bytes()))
        shutil.copyfile(busybox, folder / "busybox")
    manifest = {
        "release": release,
        "packages": {package.name: package.version for package in packages},
        "sha256": {name: _sha256(folder / name) for name in ("Image", "busybox")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _only(root: Path, *patterns: str) -> Path:
    found = [path for pattern in patterns for path in root.glob(pattern)]
    if not found:
        raise DemoError(f"Debian's packages hold no {' or '.join(patterns)}")
    return found[0]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(taken: Path) -> str:
    """Return a short digest of all that `build` depends on: the packages and this very code."""
    package = resources.files("pocwatch.demo")
    parts = [*package.iterdir(), *(package / "vmm").iterdir()]
    digest = hashlib.sha256((taken / "manifest.json").read_bytes())
    for part in sorted(parts, key=lambda part: part.name):
        if part.name.endswith((".py", ".c", ".h", ".S")):
            content = part.read_bytes()
            digest.update(f"{part.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def build(folder: Path, taken: Path, progress: Progress) -> None:
    """Fill a folder with `vmm`, `boot.symbols`, `host.cpio` and `guest.cpio`."""
    progress("building the VMM and the initramfs")
    busybox = (taken / "busybox").read_bytes()
    layout = guest_dtb.read_layout()
    inner = initramfs.guest_initrd(busybox)
    guest = initramfs.Guest(
        vmm=_compile_vmm(folder / "vmm"),
        image=(taken / "Image").read_bytes(),
        dtb=guest_dtb.build(
            layout,
            memory_bytes=GUEST_MEMORY_MIB << 20,
            initrd_bytes=len(inner),
            command_line=initramfs.COMMAND_LINE,
        ),
        initrd=inner,
        memory_mib=GUEST_MEMORY_MIB,
    )
    (folder / "boot.symbols").write_text(_boot_symbols(layout))
    (folder / "host.cpio").write_bytes(initramfs.host_initrd(busybox))
    (folder / "guest.cpio").write_bytes(initramfs.host_initrd_with_guest(busybox, guest))


def _boot_symbols(layout: Mapping[str, int]) -> str:
    """Return the guest's view of vmm/boot.S, in the form of /proc/kallsyms."""
    stub = layout["RAM_BASE"] + layout["BOOT_OFFSET"]
    end = stub + layout["BOOT_PARAMETERS"]
    return f"{stub:016x} T boot_stub\n{end:016x} D boot_parameters\n"


def _compile_vmm(output: Path) -> bytes:
    if shutil.which(COMPILER) is None:
        raise DemoError(
            f"'{COMPILER}' was not found; install gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"
        )
    with resources.as_file(resources.files("pocwatch.demo") / "vmm") as sources:
        files = [str(path) for path in sorted(sources.glob("*.[cS]"))]
        done = subprocess.run(
            [COMPILER, *_COMPILER_FLAGS, *_LINKER_FLAGS, "-o", str(output), *files],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        raise DemoError(f"{COMPILER} could not build the VMM: {reason}")
    return output.read_bytes()
