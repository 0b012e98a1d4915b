"""Guests started and stopped for a long time under the sanitizer: findings, memory. `make soak`.

Boots the demonstration machine once; its init starts one guest after the other until the time is up.
While it runs, the memory of QEMU's process is read from /proc after each guest. Judged at the end:
every guest ended in order, there is no finding, and the process's own memory (anonymous; guest RAM is
a shared file) in the last quarter of the time is not above that of the second by more than a tenth.
The first quarter is left out: shadow memory grows with the RAM that was touched, which is bounded by
the RAM that there is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pocwatch.demo import cpio, initramfs, recipe
from pocwatch.demo import machine as demo
from pocwatch.demo.errors import DemoError
from pocwatch.report import text
from pocwatch.sanitizer import launch, process
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.findings import Report

GROWTH = 1.10
"""How much more than in the second quarter the last one may take."""

# Forever: the time limit ends it. A guest that ends badly says so in the same line as one that does not.
_INIT = f"""\
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
while true; do
    /vmm {recipe.GUEST_MEMORY_MIB} /guest/Image /guest/dtb /guest/initrd
    echo "{initramfs.GUEST_FINISHED} $?"
done
"""
_MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The process after so many guests; `own_bytes`: anonymous memory, `rss_bytes`: all of it."""

    seconds: float
    guests: int
    own_bytes: int
    rss_bytes: int


@dataclass(frozen=True)
class Soak:
    """What a soak gave."""

    report: Report
    samples: list[Sample]
    seconds: float
    failed_guests: int

    def quarter(self, number: int) -> int:
        """Return the largest own memory of a quarter of the time (0 to 3), 0 if it was not looked at."""
        start, end = self.seconds * number / 4, self.seconds * (number + 1) / 4
        return max((s.own_bytes for s in self.samples if start <= s.seconds < end), default=0)

    def complaints(self) -> list[str]:
        """Return what is not as it must be, nothing if all is well."""
        said = []
        if not self.report.complete:
            said.append(f"the machine failed: {self.report.failure}")
        if self.report.findings:
            said.append(f"{len(self.report.findings)} findings")
        if not self.samples or self.samples[-1].guests < 2:
            said.append("not even two guests ended: give it more time")
        if self.failed_guests:
            said.append(f"{self.failed_guests} guests did not end in order")
        before, after = self.quarter(1), self.quarter(3)
        if before and after > before * GROWTH:
            said.append(
                f"memory grew from {before / _MIB:.0f} MiB in the second quarter to "
                f"{after / _MIB:.0f} MiB in the last"
            )
        return said


def run(machine: demo.Machine, seconds: float, say: bool = False) -> Soak:
    """Start and stop guests for that long; the boot of the host counts."""
    with tempfile.TemporaryDirectory(prefix="pocwatch-soak-") as name:
        folder = Path(name)
        console = folder / "console"
        console.touch()
        initrd = folder / "initrd"
        extra = cpio.archive([cpio.program("init", _INIT.encode())])
        initrd.write_bytes(machine.initrds["guest"].read_bytes() + extra)
        command = machine.qemu_args()
        command[command.index("-initrd") + 1] = str(initrd)
        command[command.index("-serial") + 1] = f"file:{console}"
        options = launch.Options(command=command, symbols=machine.symbol_options())
        samples: list[Sample] = []
        start = time.monotonic()

        def look(_: object) -> None:
            guests = _ended(console)
            if guests == (samples[-1].guests if samples else 0):
                return
            own, rss = _memory(_child())
            samples.append(Sample(time.monotonic() - start, guests, own, rss))
            if say:
                last = samples[-1]
                print(
                    f"{last.seconds:6.0f} s  {guests:4} guests  own {own // _MIB} MiB  "
                    f"resident {rss // _MIB} MiB",
                    flush=True,
                )

        report = launch.run(
            launch.plan(options),
            lambda _: None,
            look,
            limit=process.Limit(seconds, ends_it=True),
        )
        failed = _ended(console) - _ended(console, " 0")
        return Soak(report, samples, time.monotonic() - start, failed)


def _ended(console: Path, status: str = "") -> int:
    said = console.read_text(errors="replace").splitlines()
    wanted = f"{initramfs.GUEST_FINISHED} "
    return sum(line.startswith(wanted) and line.endswith(status) for line in said)


def _child() -> int:
    """Return the process that this one started last: QEMU."""
    tasks = Path("/proc/self/task").glob("*/children")
    return max(int(pid) for task in tasks for pid in task.read_text().split())


def _memory(pid: int) -> tuple[int, int]:
    """Return anonymous and whole resident memory in bytes."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    own, whole = (int(fields[key].split()[0]) * 1024 for key in ("RssAnon", "VmRSS"))
    return own, whole


def main() -> int:
    """Soak for as long as asked; return 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="default: 30")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error(f"--minutes was given {arguments.minutes:g} but takes more than 0")
    machine = demo.prepare(
        demo.default_cache_dir(), progress=lambda line: print(line, file=sys.stderr)
    )
    soak = run(machine, arguments.minutes * 60, say=True)
    print(text.render(soak.report), end="")
    if arguments.json:
        kept = {"seconds": soak.seconds, "samples": [asdict(each) for each in soak.samples]}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")
    quarters = " ".join(f"{soak.quarter(i) // _MIB}" for i in range(4))
    guests = soak.samples[-1].guests if soak.samples else 0
    print(f"soak: {guests} guests in {soak.seconds:.0f} s; own memory by quarter, MiB: {quarters}")
    complaints = soak.complaints()
    for line in complaints:
        print(f"soak: {line}")
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DemoError, MachineError, UsageError, OSError) as error:
        sys.exit(f"soak: {error}")
    finally:
        sys.stdout.flush()
