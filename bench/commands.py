"""How long the commands without a machine take: tables from scratch, `--help`, `pocwatch line -`."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

from pocwatch import platforms
from pocwatch.line import automaton

_POCWATCH = (sys.executable, "-c", "from pocwatch.cli.main import main; main()")
_WORDS, _STEPS, _SEED = 10_000, 10, 2013
_AGENTS = ("P0", "P1")
_OFFSETS = ("", "", " +8", " +56")
_STEPS_OF_A_PE = (
    *(f"{op} {kind}" for op in ("st", "ld") for kind in ("wb", "wt", "nc", "dev")),
    *(f"{op} {kind}" for op in ("tw", "if") for kind in ("wb", "nc")),
    *(f"dc {op}" for op in ("cvac", "cvau", "civac", "ivac", "csw", "cisw", "isw", "zva")),
    *(f"ic {op}" for op in ("ivau", "iallu", "ialluis")),
    *("dmb", "dsb", "isb", "mmu off", "mmu on"),
)


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing, and the goal it is held against."""

    what: str
    seconds: float
    goal_s: float

    def record(self) -> dict[str, object]:
        """Return what goes into the JSON."""
        return asdict(self)


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _tables() -> list[Timing]:
    timings = []
    for name in platforms.names():
        platform = platforms.load(name)
        seconds = _seconds(lambda p=platform: automaton.build(p))
        timings.append(Timing(f"table of `{name}` from scratch", seconds, 5))
    return timings


def _help(runs: int) -> Timing:
    def ask() -> None:
        subprocess.run([*_POCWATCH, "--help"], check=True, stdout=subprocess.DEVNULL)

    return Timing("`pocwatch --help`", median(_seconds(ask) for _ in range(runs)), 0.3)


def random_words(count: int, steps: int) -> str:
    """Return words for `pocwatch line -`, the same ones every time."""
    choose = random.Random(_SEED).choice

    def step() -> str:
        return f"{choose(_AGENTS)} {choose(_STEPS_OF_A_PE)}{choose(_OFFSETS)}"

    return "\n---\n".join("\n".join(step() for _ in range(steps)) for _ in range(count))


def _line() -> Timing:
    text = random_words(_WORDS, _STEPS)
    command = [*_POCWATCH, "line", "--platform", "xgene-l3", "--json", "-"]
    start = time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1) or done.stdout.count("\n") != _WORDS:
        raise SystemExit(f"pocwatch line: {done.stderr.strip() or 'not one answer per word'}")
    return Timing(f"`pocwatch line -`: {_WORDS:,} words of {_STEPS} steps", seconds, 10)


def measure(runs: int, say: Callable[[str], None]) -> list[Timing]:
    """Time every command once, `--help` `runs` times."""
    say("tables, --help, line")
    return [*_tables(), _help(runs), _line()]
