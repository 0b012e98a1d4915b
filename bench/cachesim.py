"""How fast the compiled cache simulator is, beside valgrind's cachegrind on the same accesses.

Two streams: a boot of the demonstration's host, recorded, and a C program (locality.c). Of the
program, valgrind's lackey writes down every access; that stream is simulated by us, from memory, and
cachegrind simulates it while the program runs, with the same caches (two levels, LRU). Cachegrind's
time includes that of running the program, so its rate is given twice: with all its time, and without
the time that valgrind needs to run the program with no tool. It looks at runs of instructions at once;
so does the plugin, which makes one record of those of one line, and the stream is also simulated in
that form. All rates of the program are of its own accesses, an access being an instruction, load or
store, per second of CPU time of one core. Where valgrind is absent, its part is left out.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.cost.cachesim import stream
from pocwatch.cost.cachesim.counts import Counts
from pocwatch.cost.cachesim.live import Live
from pocwatch.cost.cachesim.native import Native
from pocwatch.cost.cachesim.record import Access
from pocwatch.demo import machine as demo
from pocwatch.platforms import Platform
from pocwatch.sanitizer import launch

GOAL = 20e6
"""Accesses per second and core."""

_PROGRAM = Path(__file__).parent / "locality.c"
_ROUNDS = 30  # under cachegrind, so that its start does not count
_SECONDS = 2.0  # of simulation, at least
_MEGA = 1e6
# cachegrind's caches; its LL is unified, like an L2.
_L1, _LL = (32, 4), (2048, 16)
_TWO_LEVELS = f"""
pes = 1
first_unified = "L2"
[l1i]
size_kib = {_L1[0]}
ways = {_L1[1]}
[[levels]]
name = "L1D"
size_kib = {_L1[0]}
ways = {_L1[1]}
[[levels]]
name = "L2"
size_kib = {_LL[0]}
ways = {_LL[1]}
"""
_LACKEY = re.compile(r"^(I | L| S| M) +([0-9a-f]+),(\d+)$", re.MULTILINE)
_OPS = {"I ": Op.IF, " L": Op.LD, " S": Op.ST, " M": Op.ST}


@dataclass(frozen=True)
class Rate:
    """Accesses per second of CPU time; `goal` is 0 where there is none."""

    what: str
    accesses: int
    per_second: float
    goal: float = 0.0

    def record(self) -> dict[str, object]:
        """Return what goes into the JSON."""
        return asdict(self)


def _simulated(what: str, platform: Platform, chunks: Sequence[bytes]) -> tuple[Rate, Counts]:
    """Simulate again and again, for long enough; the counts are of the first time."""
    with Native(platform) as native:
        for chunk in chunks:
            native.run(chunk)
        counts = native.counts()
        accesses, start = 0, time.process_time()
        while (seconds := time.process_time() - start) < _SECONDS:
            for chunk in chunks:
                native.run(chunk)
            accesses += counts.accesses
    return Rate(what, counts.accesses, accesses / seconds, GOAL), counts


def _boot(say: Callable[[str], None], folder: Path) -> list[Rate]:
    say("cache simulation: recording a boot")
    recorded = folder / "host.gz"
    command = demo.prepare(demo.default_cache_dir(), progress=say).qemu_args(scenario="host")
    with Live(lambda fifo: stream.compress(fifo, recorded)) as live:
        launch.run(launch.plan(launch.Options(command=command, stream=live.path)), say)
    records = live.result()
    say("cache simulation: simulating it")
    start = time.process_time()
    with stream.Reader(recorded) as reader:
        chunks = list(reader)
    seconds = time.process_time() - start
    unpacked = Rate(
        f"host boot, decompressed ({recorded.stat().st_size / records:.2f} bytes per access)",
        records,
        records / seconds,
    )
    named = [platforms.load(name) for name in ("xgene-l3", "cortex-a57", "neoverse-dic")]
    return [unpacked, *(_simulated(f"host boot, `{p.name}`", p, chunks)[0] for p in named)]


def _valgrind(tool: str, *words: str) -> tuple[str, float]:
    """Run valgrind; return what it says, and seconds of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["valgrind", f"--tool={tool}", *words], capture_output=True, text=True, check=True, env={}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _records(trace: Path) -> Iterable[Access]:
    for kind, address, size in _LACKEY.findall(trace.read_text()):
        yield Access(pa=int(address, 16), size=int(size), op=_OPS[kind])


def _by_line(records: Iterable[Access]) -> Iterable[Access]:
    """Leave out fetches from the line of the fetch before, if nothing came in between but data."""
    line = None
    for record in records:
        if record.op != Op.IF or (record.pa + record.size - 1) // 64 != line:
            yield record
        if record.op == Op.IF:
            line = (record.pa + record.size - 1) // 64


def _counted(said: str, what: str) -> int:
    found = re.search(rf"{what}:\s+([\d,]+)", said)
    if found is None:
        raise SystemExit(f"cachegrind says nothing of {what!r}: {said}")
    return int(found[1].replace(",", ""))


def _program(say: Callable[[str], None], folder: Path) -> list[Rate]:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if shutil.which("valgrind") is None or compiler is None:
        say("cache simulation: no valgrind or no C compiler, so no comparison with cachegrind")
        return []
    program = folder / "locality"
    subprocess.run([compiler, "-O2", "-o", str(program), str(_PROGRAM)], check=True)
    say("cache simulation: cachegrind")
    shapes = [f"{kib << 10},{ways},64" for kib, ways in (_L1, _L1, _LL)]
    caches = [f"--{name}={shape}" for name, shape in zip(("I1", "D1", "LL"), shapes, strict=True)]
    simulate = ("cachegrind", "--cache-sim=yes", "--cachegrind-out-file=/dev/null", *caches)
    said, seconds = _valgrind(*simulate, str(program), str(_ROUNDS))
    _, running_s = _valgrind("none", str(program), str(_ROUNDS))
    accesses = _counted(said, "I +refs") + _counted(said, "D +refs")
    once, _ = _valgrind(*simulate, str(program), "1")
    trace = folder / "trace"
    _valgrind("lackey", "--trace-mem=yes", f"--log-file={trace}", str(program), "1")
    two = platforms.parse(_TWO_LEVELS, "two")
    each = b"".join(map(bytes, _records(trace)))
    merged = b"".join(map(bytes, _by_line(_records(trace))))
    ours, counts = _simulated("C program, ours", two, [each])
    by_line, _ = _simulated("C program, ours, fetches by line", two, [merged])
    by_line = replace(
        by_line,
        accesses=ours.accesses,
        per_second=by_line.per_second * ours.accesses / by_line.accesses,
    )
    l1i, l1d = counts.pes[0].caches[:2]
    say(
        "cache simulation: misses of one round, ours and cachegrind's: "
        f"L1I {sum(l1i.misses)} and {_counted(once, 'I1 +misses')}, "
        f"L1D {sum(l1d.misses)} and {_counted(once, 'D1 +misses')}"
    )
    return [
        ours,
        by_line,
        Rate("C program, cachegrind", accesses, accesses / seconds),
        Rate("C program, cachegrind less running it", accesses, accesses / (seconds - running_s)),
    ]


def measure(say: Callable[[str], None]) -> list[Rate]:
    """Measure all that can be measured here."""
    with tempfile.TemporaryDirectory(prefix="pocwatch-bench-") as folder:
        return [*_boot(say, Path(folder)), *_program(say, Path(folder))]


def row(rate: Rate) -> list[str]:
    """Return a row of the table: what, accesses, rate, goal; in millions."""
    goal = f"{rate.goal / _MEGA:g}" if rate.goal else ""
    return [rate.what, f"{rate.accesses / _MEGA:.1f}", f"{rate.per_second / _MEGA:.1f}", goal]
