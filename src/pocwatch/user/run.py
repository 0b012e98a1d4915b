"""`pocwatch user`: one program, from its files to its report and its exit status."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocwatch.sanitizer import arguments, launch, qemu, runfile
from pocwatch.sanitizer.errors import MachineError
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.locate import Program
from pocwatch.sanitizer.workspace import SHARED_MEMORY, Workspace
from pocwatch.user import attribution, maps, stdin
from pocwatch.user.job import Job
from pocwatch.user.machine import Machine
from pocwatch.user.root import Root

# Rules whose place is a function's name.
_NAMED = re.compile(r"@\s*(?!user\s*$|(?:pc|pa|ipa)\s*[: ])[A-Za-z_.]", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What to run and how; `kernel`: report the kernel's own findings, too."""

    job: Job
    root: Root
    machine: Machine
    options: launch.Options
    kernel: bool = False


@dataclass(frozen=True)
class Ended:
    """A report and the program's exit status (128 + N for signal N); None if it did not end."""

    report: Report
    status: int | None
    reason: str = ""


def run(
    wanted: Wanted,
    say: Callable[[str], None],
    progress: Callable[[runfile.Progress], None] | None = None,
) -> Ended:
    """Run the program under the sanitizer. Raise RunError when it cannot start."""
    parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pocwatch-user-", dir=parent) as name:
        folder = Path(name)
        _give(wanted.job, folder)
        options = wanted.options
        known: Sequence[Program] = ()
        if any(_NAMED.search(rule) for rule in (*options.drop, *options.weaken)):
            say("running the program once without the sanitizer, to see where its functions are")
            known = _rehearse(wanted, folder)
        command = wanted.machine.command(folder)
        plan = launch.plan(replace(options, command=command, known=known))

        def prepared(ram: Path) -> None:
            wanted.machine.fill(ram)
            wanted.machine.resume(folder)

        report = launch.run(
            plan,
            lambda _: None,
            progress,
            prepared=prepared,
            loaded=lambda pcs: _loaded(wanted, folder, pcs),
        )
        if not wanted.kernel:
            report = attribution.without_kernel(report)
        return _ended(report, folder)


def _give(job: Job, folder: Path) -> None:
    """Lay out what init asks for; `go` last, which lets it begin."""
    (folder / "files").write_bytes(job.archive())
    (folder / "job").write_bytes(job.text())
    stdin.spool(folder)
    (folder / "go").touch()


def _rehearse(wanted: Wanted, folder: Path) -> list[Program]:
    """Run the program under plain QEMU, its output discarded; return what it had loaded."""
    size_bytes = wanted.machine.shape.memory_mib << 20
    with Workspace(size_bytes) as workspace:
        ram = workspace.path / "ram"
        with ram.open("wb") as file:
            file.truncate(size_bytes)
        wanted.machine.fill(ram)
        wanted.machine.resume(folder)
        given = wanted.machine.command(folder)
        done = subprocess.run(
            [
                qemu.find(given[0]).path,
                *given[1:],
                *arguments.shared_ram(ram, size_bytes),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode or not (folder / "status").exists():
        raise MachineError(
            "the program did not end when it ran to find its functions; name the place of a rule "
            "as `user` or as addresses (0xLO-0xHI)"
        )
    known = _loaded(wanted, folder, None)
    for name in ("status", "maps"):
        (folder / name).unlink(missing_ok=True)
    return known


def _loaded(wanted: Wanted, folder: Path, pcs: Sequence[int] | None) -> list[Program]:
    file = folder / "maps"
    mappings = maps.parse(file.read_text(errors="replace")) if file.exists() else []
    perf = [path.read_text(errors="replace") for path in sorted(folder.glob("perf-*.map"))]

    def find(name: str) -> Path | None:
        return wanted.job.host_path(name) or wanted.root.find(name)

    return maps.programs(mappings, perf, find, pcs)


def _ended(report: Report, folder: Path) -> Ended:
    status = folder / "status"
    if status.exists():
        return Ended(report, int(status.read_text()))
    failure = folder / "failure"
    if failure.exists():
        return Ended(report, None, failure.read_text(errors="replace"))
    console = folder / "console"
    lines = console.read_text(errors="replace").splitlines() if console.exists() else []
    said = [line.strip() for line in lines if line.strip()]
    return Ended(report, None, said[-1] if said else "the machine ended before the program")
