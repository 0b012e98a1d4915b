"""What pocwatch reports of a case's two sequences: the kinds of findings, an empty set if none."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from corpus.case import FOLDER, PROGRAMS, Case, Form
from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.cli import authored
from pocwatch.kvm.verdict import Result, Word, decide
from pocwatch.line import calculator, word
from pocwatch.line.word import Step
from pocwatch.platforms import Platform
from pocwatch.sanitizer import launch

COMPILER = "aarch64-linux-gnu-gcc"
MACHINE = FOLDER / "machine"
POLICIES = FOLDER / "policies.py"
_PATIENCE_SECONDS = 60
_KIND_OF_READ = {
    Op.LD: "stale-read",
    Op.TW: "stale-walk",
    Op.IF: "stale-fetch",
    Op.DMA_RD: "dma-stale-read",
}


class BuildError(RuntimeError):
    """A program of the corpus does not assemble: what the compiler says."""


@cache
def platform_of(case: Case) -> Platform:
    """Return the case's platform."""
    return platforms.load(case.platform_reference)


def word_kinds(text: str, platform: Platform) -> frozenset[str]:
    """Return the kinds of stale reads of a word, named as `pocwatch run` does.

    A stale read that no maintenance right before it could cure is a lost write: the repair, if there is
    one, is for an earlier step.
    """
    steps = word.parse(text, line_bytes=platform.dminline_bytes)
    kinds = set()
    for read in calculator.judge(platform, steps):
        if read.verdict == "unsynced":
            kinds.add("unsynced-fetch")
        elif read.verdict == "stale":
            lost = not read.repair or read.repair[0].startswith("before step")
            kinds.add("lost-write" if lost else _kind(steps[read.step]))
    return frozenset(kinds)


def _kind(step: Step) -> str:
    return _KIND_OF_READ[step.op]


def check_kinds(scenario: str, policy: str, platform: Platform) -> frozenset[str]:
    """Return the kind of a cell's counterexample; `leak` if the value is another tenant's.

    Raises ValueError for a cell that is neither proved nor refuted.
    """
    result = _decided(scenario, policy, platform)
    if result.verdict is Word.SAFE:
        return frozenset()
    if result.verdict is Word.LEAK:
        return frozenset({"leak"})
    if result.verdict is Word.UNSAFE:
        return frozenset({_kind(result.trace[-1].steps[-1][1])})
    raise ValueError(f"{scenario} × {policy}: {result.verdict.value}: {result.reason}")


def _decided(scenario: str, policy: str, platform: Platform) -> Result:
    own = {p.name: p for p in authored.policies_of(str(POLICIES))}
    chosen = own.get(policy) or authored.policy(policy)
    file, _, name = scenario.rpartition(":")
    found = authored.scenarios_of(str(FOLDER / file) if file else name)
    return decide(next(s for s in found if s.name == name), chosen, platform)


def build(case: Case, fixed: int, folder: Path) -> Path:
    """Assemble a case's program with its runtime. Raises BuildError."""
    target = folder / f"{case.id}-{fixed}.elf"
    command = [
        *(COMPILER, "-march=armv8.2-a", "-nostdlib", "-static", f"-I{MACHINE}", f"-DFIXED={fixed}"),
        *(["-DGUEST"] if case.guest else []),
        *("-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{MACHINE / 'machine.ld'}"),
        *("-o", str(target), str(MACHINE / ("guest.S" if case.guest else "machine.S"))),
        str(PROGRAMS / case.program),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(f"{COMPILER} is not there: tools/setup installs it") from None
    if done.returncode:
        raise BuildError(f"{case.program}: {done.stderr.strip()}")
    return target


def qemu(case: Case, kernel: Path) -> list[str]:
    """Return the QEMU command that boots a case's program."""
    board = "virt,gic-version=3" + (",virtualization=on" if case.guest else "")
    return [
        *("qemu-system-aarch64", "-M", board, "-cpu", case.cpu, "-smp", str(case.pes), "-m", "16M"),
        *("-nodefaults", "-display", "none", "-nic", "none", "-kernel", str(kernel)),
    ]


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """End a machine that hangs: `launch` passes the signal on, and the report is then not complete."""
    timer = threading.Timer(_PATIENCE_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def program_kinds(case: Case, fixed: int, drop: Sequence[str] = ()) -> frozenset[str]:
    """Boot a case's program under the sanitizer. Raises RuntimeError if it did not run to its end."""
    with tempfile.TemporaryDirectory() as folder, _time_limit():
        options = launch.Options(
            command=qemu(case, build(case, fixed, Path(folder))),
            platform=case.platform_reference,
            unsynced=case.unsynced,
            drop=drop,
        )
        report = launch.run(launch.plan(options), lambda _: None)
    if not report.complete:
        raise RuntimeError(f"case {case.id}: {report.failure}")
    return frozenset(finding.kind for finding in report.findings)


def kinds(
    case: Case, fixed: bool, drop: Callable[[str], frozenset[str]] | None = None
) -> frozenset[str]:
    """Return what is reported of the buggy or the fixed sequence; `drop` runs the real machine."""
    text = case.fixed if fixed else case.buggy
    if case.form is Form.WORD:
        return word_kinds(text, platform_of(case))
    if case.form is Form.CHECK:
        scenario = (fixed and case.fixed_scenario) or case.scenario
        return check_kinds(scenario, text, platform_of(case))
    if case.form is Form.PROGRAM:
        return program_kinds(case, int(fixed))
    assert drop is not None, "the demonstration's machine is given by the caller"
    return drop(text)
