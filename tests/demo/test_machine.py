"""The machine as a whole: its command lines, its cache, and that it boots under plain QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocwatch.demo import machine, recipe
from pocwatch.demo.errors import DemoError, UnknownNameError
from pocwatch.demo.machine import Cpu, Machine, SymbolFile


@pytest.fixture
def fake() -> Machine:
    kernel = Path("/cache/Image")
    return Machine(
        kernel=kernel,
        initrds={"host": Path("/cache/host.cpio"), "guest": Path("/cache/guest.cpio")},
        symbols={"host": SymbolFile(kernel, 0x40200000), "vmm": SymbolFile(Path("/cache/vmm"))},
        packages={},
    )


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize(("smp", "thread"), [(1, "single"), (2, "multi"), (4, "multi")])
def test_more_cpus_need_threads_of_their_own(fake: Machine, smp: int, thread: str) -> None:
    arguments = fake.qemu_args(smp=smp)
    assert option(arguments, "-accel") == f"tcg,thread={thread}"
    assert option(arguments, "-smp") == str(smp)


@pytest.mark.parametrize(("name", "cpu"), machine.CPUS.items())
def test_the_machine_has_el2_whatever_the_cpu(fake: Machine, name: str, cpu: Cpu) -> None:
    arguments = fake.qemu_args(cpu=name)
    assert arguments[0] == "qemu-system-aarch64"
    assert option(arguments, "-M") == "virt,virtualization=on,gic-version=3"
    assert option(arguments, "-cpu") == cpu.argument
    assert "nokaslr" in option(arguments, "-append").split()


def test_symbols_are_given_as_the_option_takes_them(fake: Machine) -> None:
    assert fake.symbol_options() == ("host@0x40200000=/cache/Image", "vmm=/cache/vmm")


def test_every_scenario_has_its_initramfs(fake: Machine) -> None:
    for scenario in machine.SCENARIOS:
        assert option(fake.qemu_args(scenario=scenario), "-initrd") == f"/cache/{scenario}.cpio"


def test_an_unknown_name_is_refused_with_what_is_known(fake: Machine) -> None:
    with pytest.raises(UnknownNameError, match=r"CPU 'cortex-m3' is unknown.*neoverse-n1"):
        fake.qemu_args(cpu="cortex-m3")
    with pytest.raises(UnknownNameError, match=r"scenario 'party' is unknown.*guest"):
        fake.qemu_args(scenario="party")


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match=r"cache folder '.*file/pocwatch'"):
        machine.prepare(tmp_path / "file" / "pocwatch")


@pytest.mark.machine
@pytest.mark.parametrize(
    ("scenario", "cpu", "smp"),
    [
        ("host", "cortex-a57", 1),
        ("host", "cortex-a57", 2),
        ("guest", "cortex-a57", 1),
        ("guest", "neoverse-n1", 1),
        ("guest", "max", 1),
    ],
)
def test_it_boots_and_powers_off(scenario: str, cpu: str, smp: int) -> None:
    prepared = machine.prepare(machine.default_cache_dir())
    done = subprocess.run(
        prepared.qemu_args(cpu=cpu, smp=smp, scenario=scenario),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = [line for line in done.stdout.splitlines() if line.startswith("pocwatch: ")]
    assert (done.returncode, printed) == (0, list(machine.SCENARIOS[scenario])), done.stdout


@pytest.mark.machine
def test_a_second_run_uses_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine.prepare(machine.default_cache_dir())

    def no_apt(*_: object) -> None:
        raise AssertionError("apt was asked although everything is in the cache")

    monkeypatch.setattr(recipe, "AptRoot", no_apt)
    assert machine.prepare(machine.default_cache_dir()) == first
