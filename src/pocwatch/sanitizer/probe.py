"""Asks the emulated CPU for its caches before the run: a machine that never executes anything.

The same QEMU with the same machine type and CPU, stopped (-S) and with a little RAM; the plugin
reads the registers as soon as there is a CPU. No table of CPU models could follow `-cpu` options
and QEMU versions.
"""

from __future__ import annotations

from pathlib import Path

from pocwatch.sanitizer import arguments, machine, process, runfile
from pocwatch.sanitizer.cpufacts import CpuFacts
from pocwatch.sanitizer.errors import MachineError
from pocwatch.sanitizer.workspace import Workspace

_RAM_BYTES = 16 << 20
_SECONDS = 10.0
_FINDINGS = 1  # slots of the run file; nothing is executed, nothing found
_NOTHING = ("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "none")


def cpu_facts(program: str, asked: machine.Machine, plugin: Path, table: bytes) -> CpuFacts:
    """Return what the CPU of this machine says. Raise MachineError when it does not.

    `table` is that of any platform: the plugin does not start without one.
    """
    with Workspace(runfile.file_size(_FINDINGS) + _RAM_BYTES) as workspace:
        directory = workspace.path
        run, ram = directory / "run", directory / "ram"
        try:
            runfile.create(run, asked.ram_base, _RAM_BYTES, asked.pes, _FINDINGS)
            (directory / "table").write_bytes(table)
            with ram.open("wb") as file:
                file.truncate(_RAM_BYTES)
        except OSError as error:
            raise MachineError(f"{directory}: cannot be prepared ({error.strerror})") from None
        command = [
            program,
            *machine.cpu_arguments(asked.args),
            *("-S", "-accel", "tcg", "-m", f"{_RAM_BYTES >> 20}M", *_NOTHING),
            *arguments.shared_ram(ram, _RAM_BYTES),
            *arguments.watched(plugin, directory, ram, asked.ram_base, _RAM_BYTES),
        ]
        with runfile.RunFile(run) as record:
            process.run_until(command, lambda: bool(record.header().started), _SECONDS)
            header = record.header()
    if not header.ctr:
        raise MachineError("it has no CTR_EL0")
    return CpuFacts.of(header.ctr, header.clidr)
