"""rumur: a Murphi model to a verdict. Breadth first; one thread, as the others have one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from measured import Limits, Measured, Said, build, run, timed

MODES = {"breadth first": "off", "symmetric lines": "heuristic"}


def absent() -> str | None:
    """Return why rumur cannot be run, None if it can."""
    lacking = [tool for tool in ("rumur", "gcc") if shutil.which(tool) is None]
    return f"{' and '.join(lacking)} not found: apt-get install rumur gcc" if lacking else None


def verify(
    text: str, folder: Path, mode: str, lines: int, limits: Limits, optimise: str = "-O3"
) -> Measured:
    """Verify a model in a folder of its own."""
    (folder / "model.m").write_text(text)
    to_c = ["rumur", "model.m", "--output", "model.c", "--threads", "1"]
    to_c += ["--deadlock-detection", "off", "--symmetry-reduction", MODES[mode]]
    compile_it = ["gcc", "-std=c11", optimise, "-mcx16", "-pthread", "-w", "-o", "model", "model.c"]

    def make() -> bool:
        return build(to_c, folder, limits) and build(compile_it, folder, limits)

    made, build_s = timed(make)
    if not made:
        return Measured("rumur", mode, lines, Said.TIME, build_s=build_s)
    done = run(["./model"], folder, limits)
    counts = re.findall(r"([0-9]+) states", done.output)
    trace = None
    if "Assertion failed" in done.output:
        said, trace = Said.STALE, done.output.count('\nRule "')
    elif done.stopped:
        said = Said.TIME
    elif "No error found" in done.output:
        said = Said.PROVED
    elif re.search(r"out of memory|alloc|ENOMEM", done.output, re.IGNORECASE):
        said = Said.MEMORY
    else:
        raise SystemExit(f"the verifier said nothing that is understood: {done.output[-2000:]}")
    count = int(counts[-1]) if counts else None
    return Measured("rumur", mode, lines, said, count, build_s, done.seconds, trace)
