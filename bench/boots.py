"""Boots of the demonstration machine: without plugin, with an empty plugin, under pocwatch.

The three are run in turn, round by round, so that what else the machine does hits all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from pocwatch.demo import machine as demo
from pocwatch.sanitizer import launch, runfile
from pocwatch.sanitizer.workspace import Workspace

PLAIN, EMPTY, OURS = "no plugin", "empty callbacks", "pocwatch"
GOAL, AIM = 3.0, 2.0
"""Times that of plain QEMU: what must be reached, and what is aimed at."""

_HERE = Path(__file__).parent
_PLUGIN_SOURCES = _HERE.parent / "src" / "pocwatch" / "plugin"


@dataclass(frozen=True)
class Sample:
    """One boot. `rss_bytes` is the largest resident set of the QEMU process."""

    wall_s: float
    user_s: float
    system_s: float
    rss_bytes: int
    instructions: int = 0
    accesses: int = 0
    ram_touched_bytes: int = 0


@dataclass(frozen=True)
class Boot:
    """All rounds of one scenario; samples by variant."""

    scenario: str
    cpus: int
    samples: dict[str, list[Sample]]

    def ratios(self, variant: str, of: Callable[[Sample], float]) -> list[float]:
        """Return the variant's figure over plain QEMU's, round by round."""
        pairs = zip(self.samples[variant], self.samples[PLAIN], strict=True)
        return [of(sample) / of(plain) for sample, plain in pairs]

    def more_per_gib_touched(self) -> float:
        """Return bytes that pocwatch adds to QEMU's resident set per GiB of guest RAM touched."""
        ours, plain = self.samples[OURS], self.samples[PLAIN]
        more = median(s.rss_bytes for s in ours) - median(s.rss_bytes for s in plain)
        return more / (median(s.ram_touched_bytes for s in ours) / 2**30)

    def record(self) -> dict[str, object]:
        """Return what goes into the JSON."""
        return {
            "scenario": self.scenario,
            "cpus": self.cpus,
            "samples": {name: [asdict(s) for s in each] for name, each in self.samples.items()},
            "wall_ratio": median(self.ratios(OURS, wall)),
            "cpu_ratio": median(self.ratios(OURS, cpu)),
        }


def wall(sample: Sample) -> float:
    """Return the wall time in seconds."""
    return sample.wall_s


def cpu(sample: Sample) -> float:
    """Return user and system time in seconds."""
    return sample.user_s + sample.system_s


def _time(command: Sequence[str]) -> Sample:
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {said or 'no message'}")
    return Sample(wall_s, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)


def _under_pocwatch(command: Sequence[str]) -> Sample:
    """Boot as `pocwatch run` does. Its own start and report are not in the time."""
    plan = launch.plan(launch.Options(command=command))
    need = runfile.file_size(runfile.MAX_FINDINGS) + plan.machine.ram_size
    with Workspace(need) as workspace:
        run, ram = workspace.path / "run", workspace.path / "ram"
        runfile.create(run, plan.machine.ram_base, plan.machine.ram_size, plan.machine.pes)
        (workspace.path / "table").write_bytes(plan.table)
        with ram.open("wb") as file:
            file.truncate(plan.machine.ram_size)
        added = launch.added_arguments(plan, workspace.path, ram)
        sample = _time([plan.qemu.path, *plan.machine.args, *added])
        with runfile.RunFile(run) as record:
            header = record.header()
        return Sample(
            **{
                **asdict(sample),
                "instructions": sum(header.instructions),
                "accesses": sum(header.accesses),
                "ram_touched_bytes": ram.stat().st_blocks * 512,
            }
        )


def _build_empty_plugin(folder: Path) -> Path | None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    plugin = folder / "empty.so"
    command = [compiler, "-O2", "-shared", "-fPIC", f"-I{_PLUGIN_SOURCES}", "-o", str(plugin)]
    subprocess.run([*command, str(_HERE / "empty.c")], check=True)
    return plugin


def measure(
    machine: demo.Machine, scenario: str, cpus: int, runs: int, say: Callable[[str], None]
) -> Boot:
    """Boot `runs` times in each variant, after one boot that warms the page cache."""
    command = machine.qemu_args(smp=cpus, scenario=scenario)
    with tempfile.TemporaryDirectory(prefix="pocwatch-bench-") as folder:
        empty = _build_empty_plugin(Path(folder))
        variants: dict[str, Callable[[], Sample]] = {PLAIN: lambda: _time(command)}
        if empty is None:
            say("no C compiler: the empty plugin is left out")
        else:
            variants[EMPTY] = lambda: _time([*command, "-plugin", str(empty)])
        variants[OURS] = lambda: _under_pocwatch(command)
        samples: dict[str, list[Sample]] = {name: [] for name in variants}
        variants[PLAIN]()
        for number in range(runs):
            for name, boot in variants.items():
                say(f"{scenario}, {cpus} CPU: round {number + 1} of {runs}, {name}")
                samples[name].append(boot())
    return Boot(scenario, cpus, samples)
