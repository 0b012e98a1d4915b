"""What is understood of a QEMU command line, and what is refused."""

from __future__ import annotations

import pytest

from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.machine import Backend, Machine, parse, with_multi_thread

GIB, MIB = 1 << 30, 1 << 20
BASE = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"]


def of(*more: str) -> Machine:
    return parse([*BASE, *more])


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], 128 * MIB),
        (["-m", "512"], 512 * MIB),
        (["-m", "512M"], 512 * MIB),
        (["-m", "2g"], 2 * GIB),
        (["-m", "1.5G"], 3 * GIB // 2),
        (["-m", "size=1G,slots=2,maxmem=4G"], GIB),
        (["-m", "256", "-m", "slots=2,maxmem=4G"], 256 * MIB),
        (["--m", "1G"], GIB),
        (["-append", "-m", "-m", "1G"], GIB),
        (["-nographic", "-m", "1G"], GIB),
    ],
)
def test_memory(words: list[str], size: int) -> None:
    assert of(*words).ram_size == size


@pytest.mark.parametrize(
    ("value", "pes"),
    [
        ("2", 2),
        ("cpus=3", 3),
        ("sockets=2,cores=2", 4),
        ("4,maxcpus=8", 4),
        ("cores=2,threads=2", 4),
    ],
)
def test_cpus(value: str, pes: int) -> None:
    assert of("-smp", value).pes == pes


def test_machine_types() -> None:
    assert (of().ram_base, of().pes) == (0x4000_0000, 1)
    sbsa = parse(["qemu-system-aarch64", "-machine", "sbsa-ref"])
    assert (sbsa.ram_base, sbsa.ram_size, sbsa.pes) == (0x100_0000_0000, GIB, 4)
    assert parse([*BASE, "-machine", "virt-9.1,gic-version=3"]).board == "virt"
    assert (
        parse(["q", "-machine", "gic-version=3", "-M", "type=virt", "-cpu", "max,sve=off"]).cpu
        == "max"
    )


def test_the_user_s_own_shared_memory_is_used() -> None:
    backend = "memory-backend-file,id=ram0,size=1G,mem-path=/x,share=on"
    machine = of("-object", backend, "-machine", "memory-backend=ram0", "-m", "1G")
    assert machine.backend == Backend("/x", GIB)


def test_threads_console_firmware() -> None:
    single = of("-accel", "tcg,thread=single", "-smp", "2", "-nographic", "-bios", "fw")
    assert (single.single_thread, single.console_on_stdio, single.firmware) == (True, True, True)
    assert "tcg,thread=multi" in with_multi_thread(single.args)
    plain = of("-serial", "file:x", "-drive", "file=a,if=virtio")
    assert (plain.single_thread, plain.console_on_stdio, plain.firmware) == (False, False, False)
    assert of("-serial", "mon:stdio").console_on_stdio
    assert of("-drive", "if=pflash,file=a").firmware


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "no QEMU command given"),
        (["qemu-system-x86_64"], "emulates x86_64.*qemu-system-aarch64"),
        (["/opt/bin/qemu-system-riscv64"], "emulates riscv64"),
        (["qemu-aarch64", "a.out"], "user-mode QEMU"),
        (["qemu-system-aarch64"], "no -machine.*virt, sbsa-ref"),
        (["qemu-system-aarch64", "-M", "raspi4b"], "-machine raspi4b.*virt, sbsa-ref"),
        (["qemu-system-aarch64", "-M", "virt"], "no -cpu.*32-bit"),
        (["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a15"], "cortex-a15: is 32-bit"),
        ([*BASE, "-m", "lots"], "-m 'lots'.*not a memory size"),
        ([*BASE, "-m"], "-m at the end"),
        ([*BASE, "-smp", "many"], "-smp 'many'"),
        ([*BASE, "-smp", "65"], "65 CPUs.*1 to 64"),
        ([*BASE, "-accel", "kvm"], "accelerator 'kvm'.*tcg"),
        ([*BASE, "-enable-kvm"], "accelerator 'kvm'"),
        ([*BASE, "-machine", "accel=hvf"], "accelerator 'hvf'"),
        ([*BASE, "-daemonize"], "-daemonize"),
        ([*BASE, "-mem-path", "/x"], "-mem-path /x"),
        ([*BASE, "-icount", "shift=1", "-smp", "2"], "-icount with -smp 2"),
        ([*BASE, "-machine", "memory-backend=r"], "no -object with id=r"),
        (
            [*BASE, "-machine", "memory-backend=r", "-object", "memory-backend-ram,id=r,size=1G"],
            "memory-backend-file with mem-path=FILE,share=on",
        ),
        ([*BASE, "-numa", "node,memdev=r"], "memory backends"),
    ],
)
def test_refused(command: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        parse(command)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
