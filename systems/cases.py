"""The cases: which machine, what its console must say, and what is reported and was analysed.

A machine ends itself. What is expected of the report is not what a run once said: each pair of kind and
place is reasoned about in docs/findings.md, and a report with any other is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pocwatch.demo import cpio, initramfs
from systems.files import Files

_QUIET = ["-nodefaults", "-display", "none", "-nic", "none", "-no-reboot"]
_LINUX = initramfs.COMMAND_LINE.replace("quiet ", "loglevel=4 ")
_XEN_LINUX = _LINUX.replace("ttyAMA0", "hvc0")

Arguments = Callable[[Files, Path], list[str]]


@dataclass(frozen=True)
class Case:
    """A machine to run.

    `arguments` are QEMU's, made from the files and a folder for what only this case needs; the console
    is the file `console` in that folder. `said` must be on the console, in this order. `analysed` are
    kinds of findings that docs/findings.md explains, by platform; none is a claim, too. `typed` are
    lines for the serial port, each at the next `prompt`.
    """

    name: str
    about: str
    arguments: Arguments
    said: tuple[str, ...]
    platforms: tuple[str, ...] = ("auto",)
    analysed: Mapping[str, frozenset[str]] | None = None
    prompt: str = ""
    typed: tuple[str, ...] = ()

    def allowed(self, platform: str) -> frozenset[str]:
        """Return the kinds that may be reported on a platform."""
        return (self.analysed or {}).get(platform, frozenset())


def _machine(memory: str, smp: int = 1, machine: str = "virt") -> list[str]:
    head = ["qemu-system-aarch64", "-M", machine, "-cpu", "cortex-a57", "-m", memory]
    return [*head, "-smp", str(smp), "-accel", "tcg,thread=multi", *_QUIET]


def _console(folder: Path, *, keyboard: bool = False) -> list[str]:
    """A serial port that writes to a file; with a keyboard it reads from `run.Keyboard`'s FIFO."""
    where = f"file,id=console,path={folder / 'console'}"
    if keyboard:
        where += f",input-path={folder / 'keyboard'}"
    return ["-chardev", where, "-serial", "chardev:console"]


def root(files: Files, script: str, *more: cpio.Entry) -> bytes:
    """Return Linux's first root: busybox, `poke`, and a script that is its init."""
    entries = [
        *(cpio.directory(name) for name in ("dev", "bin", "proc", "sys")),
        cpio.character_device("dev/console", 5, 1),
        cpio.program("bin/busybox", files.busybox),
        cpio.program("bin/poke", files["poke"].read_bytes()),
        cpio.program("init", f"#!/bin/busybox sh\n{script}".encode()),
    ]
    return cpio.archive([*entries, *more])


_MOUNTS = """\
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
"""
_END = "echo case: finished\n$bb poweroff -f\n"


def _linux(files: Files, folder: Path, initrd: bytes, smp: int = 1) -> list[str]:
    (folder / "initrd").write_bytes(initrd)
    return [
        *_machine("512M", smp),
        *("-kernel", str(files.kernel), "-initrd", str(folder / "initrd"), "-append", _LINUX),
        *_console(folder),
    ]


def _u_boot(files: Files, folder: Path) -> list[str]:
    return [*_machine("256M"), "-bios", str(files["u-boot.bin"]), *_console(folder, keyboard=True)]


def _edk2(files: Files, folder: Path) -> list[str]:
    """Start Linux's EFI stub, which the firmware gets from QEMU (-kernel)."""
    (folder / "initrd").write_bytes(root(files, _MOUNTS + _END))
    return [
        *_machine("512M"),
        *("-bios", str(files["QEMU_EFI.fd"])),
        *("-kernel", str(files.kernel), "-initrd", str(folder / "initrd"), "-append", _LINUX),
        *_console(folder),
    ]


def _xen(files: Files, folder: Path) -> list[str]:
    """Start Xen as a kernel; QEMU describes dom0's kernel and initrd in /chosen, as boot loaders do."""
    (folder / "initrd").write_bytes(root(files, _MOUNTS + _END))
    dom0 = f"guest-loader,addr=0x5a000000,kernel={files.kernel},bootargs={_XEN_LINUX}"
    return [
        *_machine("512M", machine="virt,virtualization=on,gic-version=3"),
        *("-kernel", str(files["xen"])),
        *("-append", "dom0_mem=96M console=dtuart dtuart=/pl011@9000000"),
        *("-device", dom0),
        *("-device", f"guest-loader,addr=0x5e000000,initrd={folder / 'initrd'}"),
        *_console(folder),
    ]


_KEXEC = f"""\
{_MOUNTS}
echo case: first kernel
/bin/poke kexec /Image /second
"""


def _kexec(files: Files, folder: Path) -> list[str]:
    second = root(files, f"{_MOUNTS}echo case: second kernel\n{_END}")
    image = cpio.regular("Image", files.kernel.read_bytes())
    return _linux(files, folder, root(files, _KEXEC, image, cpio.regular("second", second)))


_HOTPLUG = f"""\
{_MOUNTS}
cpu=/sys/devices/system/cpu
for round in 1 2 3; do
    echo 0 > $cpu/cpu1/online
    echo "case: without CPU 1: $($bb cat $cpu/online)"
    echo 1 > $cpu/cpu1/online
    echo "case: with it: $($bb cat $cpu/online)"
done
{_END}"""


def _hotplug(files: Files, folder: Path) -> list[str]:
    return _linux(files, folder, root(files, _HOTPLUG), smp=2)


_SUSPEND = f"""\
{_MOUNTS}
for round in 1 2; do
    echo +2 > /sys/class/rtc/rtc0/wakealarm
    echo freeze > /sys/power/state && echo case: resumed
done
{_END}"""


def _suspend(files: Files, folder: Path) -> list[str]:
    return _linux(files, folder, root(files, _SUSPEND), smp=2)


_PATCHING = f"""\
{_MOUNTS}
t=/sys/kernel/tracing
$bb mount -t tracefs tracefs $t
echo 'vfs_*' > $t/set_ftrace_filter
echo function > $t/current_tracer
$bb ls / > /dev/null
echo 0 > $t/tracing_on # or reading the trace would make it longer
echo "case: functions traced: $($bb grep -c vfs_ $t/trace)"
echo nop > $t/current_tracer
echo 1 > $t/tracing_on
echo 'p:one do_sys_openat2' > $t/kprobe_events
echo 'r:two vfs_read' >> $t/kprobe_events
echo 1 > $t/events/kprobes/enable
$bb cat /init > /dev/null
echo 0 > $t/tracing_on
echo "case: probes hit: $($bb grep -c -E 'one|two' $t/trace)"
echo 0 > $t/events/kprobes/enable
echo > $t/kprobe_events
for round in 1 2 3; do
    for module in /modules/*.ko; do $bb insmod $module; done
    $bb cat /proc/modules
    for module in crc_itu_t rmd160 md4; do $bb rmmod $module; done
done
/bin/poke bpf
{_END}"""


def _patching(files: Files, folder: Path) -> list[str]:
    names = ("crc-itu-t.ko", "rmd160.ko", "md4.ko")
    modules = [cpio.regular(f"modules/{name}", files[name].read_bytes()) for name in names]
    return _linux(files, folder, root(files, _PATCHING, cpio.directory("modules"), *modules))


CASES = (
    Case(
        "u-boot",
        "U-Boot 2023.01 from flash to its prompt, commands, power off",
        _u_boot,
        ("U-Boot 2023.01", "relocaddr", "=> poweroff"),
        platforms=("cortex-a57-up", "auto"),
        analysed={
            "cortex-a57-up": frozenset({"stale-fetch"}),
            "auto": frozenset({"stale-fetch", "stale-read", "stale-walk", "lost-write"}),
        },
        prompt="=> ",
        typed=("version", "bdinfo", "poweroff"),
    ),
    Case(
        "edk2",
        "EDK2 2022.11 from flash, and Linux by its EFI stub",
        _edk2,
        ("UEFI firmware", "EFI stub: Exiting boot services", "case: finished"),
    ),
    Case(
        "xen",
        "Xen 4.17 with a Linux dom0",
        _xen,
        ("Xen version 4.17", "LOADING DOMAIN 0", "case: finished"),
        analysed={"auto": frozenset({"stale-walk"})},
    ),
    Case(
        "kexec",
        "Linux starts a second Linux by kexec",
        _kexec,
        ("case: first kernel", "second kernel loaded", "case: second kernel", "case: finished"),
    ),
    Case(
        "hotplug",
        "Linux turns its second CPU off and on three times (PSCI CPU_OFF, CPU_ON)",
        _hotplug,
        ("without CPU 1: 0", "with it: 0-1", "case: finished"),
    ),
    Case(
        "suspend",
        "Linux suspends to idle twice, woken by its clock",
        _suspend,
        ("case: resumed", "case: resumed", "case: finished"),
    ),
    Case(
        "patching",
        "Linux patches and makes code: ftrace, kprobes, modules, BPF",
        _patching,
        ("case: functions traced", "case: probes hit", "filters ran", "case: finished"),
    ),
)
"""In the order in which they are shown."""
