"""What one run of a checker said, and how a bounded run of a program is made."""

from __future__ import annotations

import enum
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class Said(enum.Enum):
    """The verdict of a run."""

    PROVED = "proved"
    STALE = "stale read"
    TIME = "time limit"
    MEMORY = "memory limit"
    ABSENT = "not installed"


@dataclass(frozen=True)
class Limits:
    """What one run may use: seconds for building and again for searching, MiB of memory."""

    seconds: float
    memory_mib: int


@dataclass(frozen=True)
class Measured:
    """One run. `states` seen, `trace` steps as the tool counts them; None: not known."""

    tool: str
    mode: str
    lines: int
    said: Said
    states: int | None = None
    build_s: float = 0.0
    seconds: float | None = None
    trace: int | None = None


def build(command: Sequence[str | Path], folder: Path, limits: Limits) -> bool:
    """Run a step of building; return whether it was done in time. Raises SystemExit if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {said[-2000:]}")
    return True


@dataclass(frozen=True)
class Ran:
    """A program's output, its wall seconds, and whether it was stopped for its time."""

    output: str
    seconds: float
    stopped: bool


def run(command: Sequence[str | Path], folder: Path, limits: Limits) -> Ran:
    """Run a verifier within its limits."""
    most = limits.memory_mib * 2**20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    output = folder / "output"
    start = time.perf_counter()
    stopped = False
    with output.open("w") as file:
        try:
            subprocess.run(
                command,
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=limits.seconds,
                preexec_fn=limited,
                check=False,
            )
        except subprocess.TimeoutExpired:
            stopped = True
    return Ran(output.read_text(errors="replace"), time.perf_counter() - start, stopped)


def timed(act: Callable[[], bool]) -> tuple[bool, float]:
    """Return what an action says, and its wall seconds."""
    start = time.perf_counter()
    said = act()
    return said, time.perf_counter() - start
