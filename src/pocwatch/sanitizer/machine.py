"""What a QEMU command line asks for, as far as pocwatch must know it.

Reads options the way QEMU does (one or two dashes, several `-machine` merge, later ones win) and
refuses what could not be watched. Nothing is changed here; `launch` adds to the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pocwatch.sanitizer.errors import UsageError

_MIB = 1 << 20
_SUFFIX = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
MAX_PES = 64

# Options without a value; every other option takes the next word (QEMU qemu-options.hx).
_FLAGS = frozenset(
    {
        "S", "alt-grab", "ctrl-grab", "curses", "daemonize", "enable-kvm", "enable-sync-profile",
        "full-screen", "h", "help", "jitdump", "mem-prealloc", "no-acpi", "no-hpet", "no-quit",
        "no-reboot", "no-shutdown", "no-user-config", "nodefaults", "nographic", "old-param",
        "only-migratable", "perfmap", "preconfig", "s", "sdl", "semihosting", "singlestep",
        "snapshot", "usb", "version", "xen-attach", "xen-domid-restrict",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """A machine type: where its RAM starts (PA) and what it has when nothing is said."""

    ram_base: int
    ram_size: int
    pes: int
    cpu: str | None  # None: a 32-bit one


# QEMU hw/arm/virt.c and sbsa-ref.c: memory maps and class defaults.
BOARDS: dict[str, Board] = {
    "virt": Board(0x4000_0000, 128 * _MIB, 1, None),
    "sbsa-ref": Board(0x100_0000_0000, 1024 * _MIB, 4, "neoverse-n1"),
}
# Machine properties that say which CPUs there are, or without which there cannot be as many.
_CPU_PROPERTIES = frozenset({"type", "virtualization", "secure", "mte", "gic-version", "highmem"})
_CPUS_32_BIT = re.compile(r"cortex-(a7|a8|a9|a15|r\d+f?|m\d+)$|arm(9|10|11)|ti925t|pxa|sa11|any$")


@dataclass(frozen=True, slots=True)
class Backend:
    """A `memory-backend-file` that the user provides as guest RAM."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one QEMU command line. Sizes in bytes, addresses are PAs."""

    program: str
    args: tuple[str, ...]
    board: str
    cpu: str
    pes: int
    ram_base: int
    ram_size: int
    backend: Backend | None
    kernel: str | None
    dtb: str | None
    iommu: bool
    firmware: bool
    single_thread: bool
    console_on_stdio: bool


def _options(args: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield position, name and value ("" for a flag) of every option."""
    position = 0
    while position < len(args):
        word = args[position]
        if word.startswith("-") and len(word) > 1:
            name = word[2:] if word.startswith("--") else word[1:]
            if name in _FLAGS:
                yield position, name, ""
            elif position + 1 == len(args):
                raise UsageError(f"the QEMU option {word} at the end of the command has no value")
            else:
                yield position, name, args[position + 1]
                position += 1
        position += 1


def properties(value: str, first_key: str) -> dict[str, str]:
    """Split `a,b=c,d` into a dictionary; a first item without `=` gets `first_key`."""
    result: dict[str, str] = {}
    for number, item in enumerate(re.split(r"(?<!,),(?!,)", value)):
        item = item.replace(",,", ",")
        key, equals, text = item.partition("=")
        if equals:
            result[key] = text
        elif number == 0:
            result[first_key] = item
        elif item:
            result[item] = "on"
    return result


def size(text: str, option: str, default_unit: int = _MIB) -> int:
    """Return bytes of a QEMU size such as `512`, `1G` or `1.5G`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmgtBKMGT]?)", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(
            f"{option} {text!r}: not a memory size; QEMU takes a number with an optional "
            "K, M, G or T"
        )
    unit = _SUFFIX[match[2].lower()] if match[2] else default_unit
    return int(float(match[1]) * unit)


def _pes(value: str) -> int:
    given = properties(value, "cpus")
    try:
        if "cpus" in given:
            return int(given["cpus"])
        count = 1
        for key in (
            "drawers",
            "books",
            "sockets",
            "dies",
            "clusters",
            "modules",
            "cores",
            "threads",
        ):
            count *= int(given.get(key, "1"))
        return count if len(given) > ("maxcpus" in given) else int(given["maxcpus"])
    except (ValueError, KeyError):
        raise UsageError(f"-smp {value!r}: not a number of CPUs; give -smp N") from None


def _check_program(program: str) -> None:
    name = PurePath(program).name
    match = re.match(r"qemu-(system-)?(\w+)", name)
    if match is None or (match[2] == "aarch64" and match[1]):
        return
    if match[1]:
        raise UsageError(
            f"{program}: emulates {match[2]}; pocwatch watches Arm64 machines: "
            "run qemu-system-aarch64"
        )
    raise UsageError(
        f"{program}: is user-mode QEMU, which has no MMU to watch; boot the program inside a small "
        "Linux under qemu-system-aarch64"
    )


def parse(command: Sequence[str]) -> Machine:
    """Read a QEMU command. Raise UsageError for what cannot be watched."""
    if not command:
        raise UsageError(
            "no QEMU command given; usage: pocwatch run [options] -- qemu-system-aarch64 ..."
        )
    program, args = command[0], tuple(command[1:])
    _check_program(program)
    machine: dict[str, str] = {}
    memory: dict[str, str] = {}
    accel: dict[str, str] = {}
    objects: dict[str, dict[str, str]] = {}
    cpu = kernel = smp = dtb = None
    firmware = icount = stdio = iommu = False
    for _, name, value in _options(args):
        match name:
            case "M" | "machine":
                machine |= properties(value, "type")
            case "m":
                memory |= properties(value, "size")
            case "cpu":
                cpu = value
            case "smp":
                smp = value
            case "accel":
                accel |= properties(value, "accel")
            case "enable-kvm":
                accel["accel"] = "kvm"
            case "object":
                given = properties(value, "qom-type")
                objects[given.get("id", "")] = given
            case "kernel":
                kernel = value
            case "dtb":
                dtb = value
            case "device" if "iommu" in value.split(",")[0]:
                iommu = True
            case "bios" | "pflash":
                firmware = True
            case "drive" if "if=pflash" in value:
                firmware = True
            case "icount":
                icount = True
            case "numa" if "memdev=" in value:
                raise UsageError(
                    f"-numa {value}: RAM in several memory backends cannot be watched; "
                    "remove memdev= (pocwatch provides the RAM)"
                )
            case "mem-path":
                raise UsageError(f"-mem-path {value}: pocwatch provides the RAM; remove the option")
            case "daemonize":
                raise UsageError("-daemonize: pocwatch must wait for QEMU; remove the option")
            case "nographic":
                stdio = True
            case "serial" | "monitor" | "chardev" | "mon" if "stdio" in value:
                stdio = True
    board_name, board = _board(machine)
    accelerator = accel.get("accel", machine.get("accel", "tcg"))
    if accelerator.split(":")[0] != "tcg":
        raise UsageError(
            f"accelerator {accelerator!r}: pocwatch sees every access, so QEMU must emulate; "
            "use -accel tcg or leave it out"
        )
    pes = _pes(smp) if smp is not None else board.pes
    if not 1 <= pes <= MAX_PES:
        raise UsageError(f"-smp {smp}: {pes} CPUs; pocwatch watches 1 to {MAX_PES}")
    if icount and pes > 1:
        raise UsageError(
            f"-icount with -smp {smp}: runs all CPUs in one thread, where QEMU tells plugins the "
            "wrong CPU; leave out one of the two"
        )
    ram_size = size(memory["size"], "-m") if "size" in memory else board.ram_size
    backend = _backend(machine, objects)
    return Machine(
        program=program,
        args=args,
        board=board_name,
        cpu=_cpu(cpu, board, board_name),
        pes=pes,
        ram_base=board.ram_base,
        ram_size=backend.size if backend else ram_size,
        backend=backend,
        kernel=kernel,
        dtb=dtb,
        iommu=iommu or machine.get("iommu", "none") != "none",
        firmware=firmware,
        single_thread=accel.get("thread") == "single",
        console_on_stdio=stdio,
    )


def _board(machine: dict[str, str]) -> tuple[str, Board]:
    name = machine.get("type")
    accepted = ", ".join(BOARDS)
    if name is None:
        raise UsageError(f"no -machine in the QEMU command; pocwatch knows {accepted}: add -M virt")
    plain = re.sub(r"-\d+\.\d+$", "", name)
    if plain not in BOARDS:
        raise UsageError(
            f"-machine {name}: pocwatch does not know where its RAM is; it knows {accepted}"
        )
    return plain, BOARDS[plain]


def _cpu(given: str | None, board: Board, board_name: str) -> str:
    model = given.split(",")[0] if given else board.cpu
    if model is None:
        raise UsageError(
            f"no -cpu in the QEMU command: the default of -machine {board_name} is 32-bit; "
            "add e.g. -cpu cortex-a57"
        )
    if _CPUS_32_BIT.match(model) or (given and "aarch64=off" in given):
        raise UsageError(f"-cpu {given}: is 32-bit; pocwatch watches Arm64: use e.g. cortex-a57")
    return model


def _backend(machine: dict[str, str], objects: dict[str, dict[str, str]]) -> Backend | None:
    name = machine.get("memory-backend")
    if name is None:
        return None
    given = objects.get(name)
    if given is None:
        raise UsageError(
            f"-machine memory-backend={name}: the command has no -object with id={name}"
        )
    if (
        given.get("qom-type") != "memory-backend-file"
        or given.get("share", "off") not in ("on", "yes", "true")
        or not given.get("mem-path")
        or not given.get("size")
    ):
        raise UsageError(
            f"-machine memory-backend={name}: pocwatch must be able to map the RAM; use "
            "memory-backend-file with mem-path=FILE,share=on, or remove memory-backend= "
            "(pocwatch then provides it)"
        )
    return Backend(given["mem-path"], size(given["size"], "-object size=", 1))


def cpu_arguments(args: Sequence[str]) -> tuple[str, ...]:
    """Return only the arguments that decide which CPUs the machine has."""
    result: list[str] = []
    for _, name, value in _options(args):
        if name in ("M", "machine"):
            items = re.split(r"(?<!,),(?!,)", value)
            kept = [
                item
                for number, item in enumerate(items)
                if (not number and "=" not in item) or item.split("=")[0] in _CPU_PROPERTIES
            ]
            if kept:
                result += [f"-{name}", ",".join(kept)]
        elif name in ("cpu", "smp", "global"):
            result += [f"-{name}", value]
    return tuple(result)


def with_multi_thread(args: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments with `thread=single` turned into `thread=multi`."""
    result = list(args)
    for position, name, value in _options(args):
        if name == "accel":
            result[position + 1] = value.replace("thread=single", "thread=multi")
    return tuple(result)
