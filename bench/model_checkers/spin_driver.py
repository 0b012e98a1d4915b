"""SPIN: a Promela model to a verdict. The verifier is compiled as SPIN's manual says for safety."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from measured import Limits, Measured, Said, build, run, timed

MODES = {"depth first": (), "breadth first": ("-DBFS",)}
_DEPTH = 10_000_000  # steps on the stack of a depth-first search


def absent() -> str | None:
    """Return why SPIN cannot be run, None if it can."""
    lacking = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    return f"{' and '.join(lacking)} not found: apt-get install spin gcc" if lacking else None


def verify(
    text: str, folder: Path, mode: str, lines: int, limits: Limits, optimise: str = "-O2"
) -> Measured:
    """Verify a model in a folder of its own."""
    (folder / "model.pml").write_text(text)
    options = [optimise, "-DSAFETY", f"-DMEMLIM={limits.memory_mib}", *MODES[mode]]

    def make() -> bool:
        return build(["spin", "-a", "model.pml"], folder, limits) and build(
            ["gcc", *options, "-w", "-o", "pan", "pan.c"], folder, limits
        )

    made, build_s = timed(make)
    if not made:
        return Measured("SPIN", mode, lines, Said.TIME, build_s=build_s)
    # one more GiB than pan's own limit, so that it is pan that notices
    room = Limits(limits.seconds, limits.memory_mib + 1024)
    depth = [] if "-DBFS" in options else [f"-m{_DEPTH}"]
    done = run(["./pan", "-E", *depth], folder, room)
    states = [
        *re.findall(r"^\s*([0-9]+) states, stored", done.output, re.MULTILINE),
        *[
            str(int(float(n)))
            for n in re.findall(r"States=\s*([0-9.e+]+)", done.output)[-1:]
        ],
    ]
    violated = re.search(r"assertion violated .*\(at depth ([0-9]+)\)", done.output)
    trace = None
    if violated:
        said, trace = Said.STALE, int(violated[1])
    elif done.stopped:
        said = Said.TIME
    elif re.search(r"MEMLIM|out of memory|max search depth too small", done.output):
        said = Said.MEMORY
    elif re.search(r"errors: 0$", done.output, re.MULTILINE):
        said = Said.PROVED
    else:
        raise SystemExit(f"pan said nothing that is understood: {done.output[-2000:]}")
    count = int(states[0]) if states else None
    own = re.search(r"elapsed time ([0-9.]+) seconds", done.output)  # without reserving the stack
    seconds = float(own[1]) if own else done.seconds
    return Measured("SPIN", mode, lines, said, count, build_s, seconds, trace)
