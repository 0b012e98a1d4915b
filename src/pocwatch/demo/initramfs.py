"""The first roots of the demonstration machine's host and guest, and what their inits do.

Each is busybox and one script, so that next to nothing but the kernel runs. The lines that the
scripts print are what a run is judged by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pocwatch.demo import cpio

HOST_REACHED = "pocwatch: host init reached"
GUEST_REACHED = "pocwatch: guest init reached"
GUEST_FINISHED = "pocwatch: guest finished, status"

# `nokaslr`: symbols are where the kernel's own table says, and two runs compare.
# `cryptomgr.notests`, `cma=0`: no self-tests of ciphers, no memory kept for DMA that nobody does.
# `panic=-1`: reset at once; QEMU (with -no-reboot) and the VMM end then.
COMMAND_LINE = "console=ttyAMA0 nokaslr quiet panic=-1 cryptomgr.notests cma=0"

_GUEST_INIT = f"""\
#!/bin/busybox sh
echo "{GUEST_REACHED}"
busybox poweroff -f
"""

_HOST_INIT = f"""\
#!/bin/busybox sh
echo "{HOST_REACHED}"
busybox poweroff -f
"""

_HOST_OF_GUEST_INIT = f"""\
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
echo "{HOST_REACHED}"
/vmm {{memory_mib}} /guest/Image /guest/dtb /guest/initrd
echo "{GUEST_FINISHED} $?"
busybox poweroff -f
"""


@dataclass(frozen=True)
class Guest:
    """Everything the VMM is given."""

    vmm: bytes
    image: bytes
    dtb: bytes
    initrd: bytes
    memory_mib: int


def guest_initrd(busybox: bytes) -> bytes:
    """Return the guest's first root: it says that it was reached and powers off."""
    return cpio.archive(_base(busybox, _GUEST_INIT))


def host_initrd(busybox: bytes) -> bytes:
    """Return a host's first root that says that it was reached and powers off."""
    return cpio.archive(_base(busybox, _HOST_INIT))


def host_initrd_with_guest(busybox: bytes, guest: Guest) -> bytes:
    """Return a host's first root that runs the guest, says how it ended and powers off."""
    init = _HOST_OF_GUEST_INIT.format(memory_mib=guest.memory_mib)
    return cpio.archive(
        [
            *_base(busybox, init),
            cpio.program("vmm", guest.vmm),
            cpio.directory("guest"),
            cpio.regular("guest/Image", guest.image),
            cpio.regular("guest/dtb", guest.dtb),
            cpio.regular("guest/initrd", guest.initrd),
        ]
    )


def _base(busybox: bytes, init: str) -> Iterable[cpio.Entry]:
    return [
        cpio.directory("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.directory("bin"),
        cpio.program("bin/busybox", busybox),
        cpio.program("init", init.encode()),
    ]
