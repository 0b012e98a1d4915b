"""A machine with disks on four kinds of controllers, and Debian's generic kernel: drivers are modules.

The modules are loaded in the order of their own `depends=`; /init reads and writes every disk.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import fdt

from pocwatch.demo import cache, cpio, kernel_image
from pocwatch.demo.packages import AptRoot

PACKAGE = "linux-image-arm64"
DRIVERS = ("virtio_mmio", "virtio_pci", "virtio_blk", "nvme", "sd_mod", "ahci")
DISKS = ("vda", "vdb", "nvme0n1", "sda")
DISK_BYTES = 1 << 20
SUM = "pocwatch: sum"
COMMAND_LINE = "console=ttyAMA0 nokaslr quiet panic=-1 cryptomgr.notests"

_INIT = """\
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
{insert}
for disk in {disks}; do
    tries=0
    until busybox test -b /dev/$disk || [ $tries = 100 ]; do
        busybox sleep 0.1; tries=$((tries + 1))
    done
    busybox dd if=/dev/$disk of=/part bs=64k count=4 2> /dev/null
    busybox dd if=/part of=/dev/$disk bs=64k seek=8 2> /dev/null
    busybox sync
    echo 3 > /proc/sys/vm/drop_caches
    echo "{sum} $disk $(busybox dd if=/dev/$disk bs=64k skip=8 count=4 2> /dev/null | busybox md5sum)"
done
busybox poweroff -f
"""


def fill(folder: Path, apt_root: Path, release: str) -> None:
    """Fill a folder with `Image` and the modules, out of Debian's package."""
    apt = AptRoot(apt_root, release)
    apt.update()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        (package,) = apt.download([apt.dependency(PACKAGE, "linux-image-")], work / "debs")
        package.extract(work / "root")
        (kernel,) = (work / "root").glob("boot/vmlinuz-*")
        (folder / "Image").write_bytes(kernel_image.unpack(kernel.read_bytes()))
        modules = {
            path.stem.replace("-", "_"): path.read_bytes()
            for path in (work / "root").rglob("*.ko")
        }
    order: list[str] = []
    for driver in DRIVERS:
        _with_needed(driver, modules, order)
    for module in order:
        (folder / f"{module}.ko").write_bytes(modules[module])
    (folder / "order.json").write_text(json.dumps(order))


def _with_needed(name: str, modules: dict[str, bytes], order: list[str]) -> None:
    """Append a module to the order behind all that it needs."""
    found = re.search(rb"\0depends=([^\0]*)\0", modules[name])
    for needed in found[1].decode().split(",") if found and found[1] else []:
        _with_needed(needed.replace("-", "_"), modules, order)
    if name not in order:
        order.append(name)


def initrd(files: Path, busybox: bytes) -> bytes:
    """Return the first root."""
    order = json.loads((files / "order.json").read_text())
    insert = "\n".join(f"busybox insmod /{module}.ko" for module in order)
    init = _INIT.format(insert=insert, disks=" ".join(DISKS), sum=SUM)
    return cpio.archive(
        [
            *(cpio.directory(name) for name in ("dev", "proc", "bin")),
            cpio.character_device("dev/console", 5, 1),
            cpio.program("bin/busybox", busybox),
            *(cpio.regular(f"{name}.ko", (files / f"{name}.ko").read_bytes()) for name in order),
            cpio.program("init", init.encode()),
        ]
    )


MACHINE = ("-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "512M", "-nodefaults")


def tree_without_coherence(folder: Path) -> Path:
    """Return the machine's device tree, in which no device says `dma-coherent`."""
    path = folder / "virt.dtb"
    words = [*MACHINE[:1], f"{MACHINE[1]},dumpdtb={path}", *MACHINE[2:], "-display", "none"]
    subprocess.run(["qemu-system-aarch64", *words], check=True, capture_output=True)
    tree = fdt.parse_dtb(path.read_bytes())
    nodes = [tree.root]
    while nodes:
        node = nodes.pop()
        nodes += node.nodes
        if node.get_property("dma-coherent") is not None:
            node.remove_property("dma-coherent")
    path.write_bytes(tree.to_dtb(17))
    return path


@dataclass(frozen=True)
class DriverMachine:
    """Files of the machine, and its command lines."""

    kernel: Path
    initrd: Path
    disk: Path
    tree: Path

    def command(self, *, coherent: bool) -> list[str]:
        """Return the command line with all four disks."""
        platform = ",iommu_platform=on"
        return [
            *("qemu-system-aarch64", *MACHINE, "-accel", "tcg,thread=single"),
            *("-display", "none", "-serial", "stdio", "-no-reboot"),
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", COMMAND_LINE),
            *(() if coherent else ("-dtb", str(self.tree))),
            *(word for number in range(4) for word in ("-drive", self._drive(number))),
            *("-global", "virtio-mmio.force-legacy=false"),
            *("-device", f"virtio-blk-device,drive=d0{platform}"),
            *("-device", f"virtio-blk-pci,drive=d1,disable-legacy=on,packed=on{platform}"),
            *("-device", "nvme,drive=d2,serial=1"),
            *("-device", "ahci,id=ahci", "-device", "ide-hd,drive=d3,bus=ahci.0"),
        ]

    def _drive(self, number: int) -> str:
        return f"file={self.disk},format=raw,if=none,id=d{number},snapshot=on"


def prepare(folder: Path, cache_dir: Path, busybox: bytes, release: str) -> DriverMachine:
    """Make the machine; the kernel comes out of the cache if it is there."""
    with cache.locked(cache_dir, lambda _: None):
        files = cache.entry(
            cache_dir / f"drivers-{release}",
            lambda folder: fill(folder, cache_dir / "apt", release),
        )
    made = DriverMachine(files / "Image", folder / "initrd", folder / "disk", folder / "virt.dtb")
    made.initrd.write_bytes(initrd(files, busybox))
    made.disk.write_bytes(bytes(n * 7 & 255 for n in range(1 << 16)) * (DISK_BYTES >> 16))
    tree_without_coherence(folder)
    return made
