"""The demonstration machine: made from distribution packages once, then taken from the cache.

The cache folder holds `apt/` (see packages.py), `packages-<release>/` (what was taken out of the
packages, and a manifest) and `machine-<digest>/` (what was built from that; the digest is over
everything that went in). A folder is filled under another name and renamed when it is complete, so
an interrupted run leaves nothing that looks finished; a second run uses no network.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pocwatch.demo import guest_dtb, initramfs, kernel_image
from pocwatch.demo.errors import DemoError
from pocwatch.demo.packages import AptRoot

RELEASE = "bookworm"
"""The Debian release whose kernel is shown, on every machine: findings.md analyses this one."""

KERNEL_PACKAGE = "linux-image-cloud-arm64"
BUSYBOX_PACKAGE = "busybox-static"

HOST_MEMORY_MIB = 512
GUEST_MEMORY_MIB = 128

COMPILER = "aarch64-linux-gnu-gcc"
_COMPILER_FLAGS = ("-std=c11", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")

# QEMU hw/arm/boot.c: RAM of `virt`, plus 2 MiB for its own start code if the text offset is 0.
_VIRT_RAM_BASE, _QEMU_START_CODE_BYTES = 0x40000000, 2 << 20

Progress = Callable[[str], None]
_T = TypeVar("_T")


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
class KernelImage:
    """A kernel that runs on the machine, for symbols: before its MMU is on, a PC is an address
    here plus an offset in the image."""

    path: Path
    load_address: int


@dataclass(frozen=True)
class Machine:
    """Files of the demonstration machine. `initrds` is by scenario, `symbols` by `host`/`guest`."""

    kernel: Path
    initrds: Mapping[str, Path]
    symbols: Mapping[str, KernelImage]
    packages: Mapping[str, str]

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


def _choose(what: str, name: str, known: Mapping[str, _T]) -> _T:
    if name not in known:
        raise DemoError(f"{what} '{name}' is unknown; the demonstration has {', '.join(known)}")
    return known[name]


def default_cache_dir() -> Path:
    """Return the user's cache folder for pocwatch; XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pocwatch"


def prepare(
    cache_dir: Path, *, progress: Progress = lambda _: None, release: str = RELEASE
) -> Machine:
    """Make the machine, or find it in the cache. Raises DemoError."""
    cache_dir = cache_dir.resolve()
    with _locked(cache_dir, progress):
        taken = _published(
            cache_dir / f"packages-{release}",
            lambda folder: _take_from_packages(folder, cache_dir / "apt", release, progress),
        )
        manifest = json.loads((taken / "manifest.json").read_text())
        built = _published(
            cache_dir / f"machine-{_digest(taken)}",
            lambda folder: _build(folder, taken, progress),
        )
    kernel = taken / "Image"
    text_offset = _text_offset(kernel)
    start_code = 0 if text_offset else _QEMU_START_CODE_BYTES
    guest_base = guest_dtb.read_layout()["RAM_BASE"]
    return Machine(
        kernel=kernel,
        initrds={name: built / f"{name}.cpio" for name in SCENARIOS},
        symbols={
            "host": KernelImage(kernel, _VIRT_RAM_BASE + start_code + text_offset),
            "guest": KernelImage(kernel, guest_base + text_offset),
        },
        packages=manifest["packages"],
    )


def _text_offset(kernel: Path) -> int:
    with kernel.open("rb") as file:
        (offset,) = struct.unpack_from("<Q", file.read(64), 8)
    return int(offset)


@contextlib.contextmanager
def _locked(cache_dir: Path, progress: Progress) -> Iterator[None]:
    """Keep other processes out of the cache folder while the block runs."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock = (cache_dir / "lock").open("w")
    except OSError as error:
        raise DemoError(f"cache folder '{cache_dir}' cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another pocwatch that prepares the machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _published(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return a complete folder: the one that exists, or one filled aside and then renamed."""
    if folder.is_dir():
        return folder
    aside = Path(tempfile.mkdtemp(prefix="incomplete-", dir=folder.parent))
    try:
        fill(aside)
        aside.chmod(0o755)
        aside.rename(folder)
    except OSError as error:
        raise DemoError(f"cannot make '{folder}': {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _take_from_packages(folder: Path, apt_root: Path, release: str, progress: Progress) -> None:
    """Download the packages and keep the kernel, busybox, and a manifest of where they are from."""
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


def _recipe() -> list[tuple[str, bytes]]:
    """Return all files of this package that have a part in what is built."""
    package = resources.files("pocwatch.demo")
    parts = [*package.iterdir(), *(package / "vmm").iterdir()]
    return sorted(
        (part.name, part.read_bytes()) for part in parts if part.name.endswith((".py", ".c", ".h"))
    )


def _digest(taken: Path) -> str:
    digest = hashlib.sha256((taken / "manifest.json").read_bytes())
    for name, content in _recipe():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _build(folder: Path, taken: Path, progress: Progress) -> None:
    """Build the VMM, the guest's device tree and the initramfs of each scenario."""
    progress("building the VMM and the initramfs")
    busybox = (taken / "busybox").read_bytes()
    inner = initramfs.guest_initrd(busybox)
    guest = initramfs.Guest(
        vmm=_compile_vmm(folder),
        image=(taken / "Image").read_bytes(),
        dtb=guest_dtb.build(
            guest_dtb.read_layout(),
            memory_bytes=GUEST_MEMORY_MIB << 20,
            initrd_bytes=len(inner),
            command_line=initramfs.COMMAND_LINE,
        ),
        initrd=inner,
        memory_mib=GUEST_MEMORY_MIB,
    )
    (folder / "host.cpio").write_bytes(initramfs.host_initrd(busybox))
    (folder / "guest.cpio").write_bytes(initramfs.host_initrd_with_guest(busybox, guest))


def _compile_vmm(folder: Path) -> bytes:
    if shutil.which(COMPILER) is None:
        raise DemoError(
            f"'{COMPILER}' was not found; install gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"
        )
    output = folder / "vmm"
    with resources.as_file(resources.files("pocwatch.demo") / "vmm") as sources:
        files = [str(path) for path in sorted(sources.glob("*.c"))]
        done = subprocess.run(
            [COMPILER, *_COMPILER_FLAGS, "-o", str(output), *files],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise DemoError(f"{COMPILER} could not build the VMM: {done.stderr.strip()}")
    return output.read_bytes()
