"""Is this QEMU usable? Asked of the program itself, before the machine starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import PurePath

from pocwatch.sanitizer.errors import MachineError, UsageError

MINIMUM = (9, 1)  # qemu_plugin_read_register and conditional callbacks as the plugin uses them
_PROBE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU program that can run the plugin."""

    path: str
    version: str


def _ask(path: str, *args: str) -> str:
    try:
        done = subprocess.run(
            [path, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except OSError as error:
        raise MachineError(f"{path}: cannot be run ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise MachineError(f"{path} {args[0]}: no answer in {_PROBE_SECONDS} s") from None
    return done.stdout + done.stderr


def find(program: str) -> Qemu:
    """Find the program and check it. Raise MachineError or UsageError with what to do."""
    path = shutil.which(program)
    if path is None:
        raise MachineError(
            f"{program}: no such program; install QEMU {_dotted(MINIMUM)} or newer "
            "(Debian: qemu-system-arm; on Debian 12 from the backports suite) or give its path"
        )
    answer = _ask(path, "--version")
    match = re.search(r"QEMU emulator version ((\d+)\.(\d+)[^\s(]*)", answer)
    if match is None:
        first = answer.strip().split("\n")[0][:60]
        raise UsageError(
            f"{program}: does not look like QEMU (--version says {first!r}); "
            "pocwatch runs qemu-system-aarch64"
        )
    version = match[1]
    if (int(match[2]), int(match[3])) < MINIMUM:
        raise MachineError(
            f"{program}: is QEMU {version}; pocwatch needs {_dotted(MINIMUM)} or newer, whose "
            "plugins can read registers (Debian 12: qemu-system-arm is in the backports suite)"
        )
    if "-plugin" not in _ask(path, "--help"):
        raise MachineError(
            f"{program}: QEMU {version} was built without plugins; use one configured with "
            "--enable-plugins (distribution packages are)"
        )
    if not PurePath(program).name.startswith("qemu-system-aarch64") and not re.search(
        r"^virt\s", _ask(path, "-machine", "help"), re.MULTILINE
    ):
        raise UsageError(f"{program}: has no Arm machine `virt`; run qemu-system-aarch64")
    return Qemu(path, version)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
