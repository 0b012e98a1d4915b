"""Every parser on damaged input: it reads it, or raises its documented error, one line for the user.

Each has SECONDS; the inputs are the same in every run, how many are tried depends on the computer.
POCWATCH_FUZZ_SEED gives others, POCWATCH_FUZZ_SECONDS more time. A failure prints the seed of its input
and keeps the input beside it. Device trees are only written by pocwatch, and read by nothing in it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import kernel_image
import pytest
import reports
import synthetic_trace
from mutations import damaged

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.cachesim import CacheSimError, stream
from pocwatch.cost.recording import errors as recording_errors
from pocwatch.cost.recording import reader as event_reader
from pocwatch.cost.recording import record as event_record
from pocwatch.line import word
from pocwatch.platforms.errors import PlatformError
from pocwatch.report import json as report_json
from pocwatch.report import load as report_load
from pocwatch.sanitizer import machine, rules, suppressions
from pocwatch.sanitizer.errors import RunError
from pocwatch.sanitizer.symbols import SymbolError, lines
from pocwatch.sanitizer.symbols import load as load_symbols
from pocwatch.trace import profile
from pocwatch.trace.errors import TraceError
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import Frame

SEED = os.environ.get("POCWATCH_FUZZ_SEED", "1")
SECONDS = float(os.environ.get("POCWATCH_FUZZ_SECONDS", "2.5"))
SOURCE = Path(__file__).parents[2] / "src" / "pocwatch"


@dataclass(frozen=True)
class Parser:
    """Reads a file, with the errors it documents; None if it says otherwise that it cannot.

    `good` makes what is damaged, in a folder; `suffix` is what its files are called.
    """

    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]
    good: Callable[[Path], Sequence[bytes]]
    suffix: str = ""


def _shipped(pattern: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [path.read_bytes() for path in sorted(SOURCE.glob(pattern))]


def _text(path: Path) -> str:
    """What a command line or standard input can hold."""
    return path.read_bytes().decode("utf-8", "replace")


def _read_trace(path: Path) -> Trace | None:
    with Trace(path) as trace:
        for number, _ in trace.readable():
            trace.table(number)
        trace.window(0, 100)
        return None if trace.damage else trace


def _elf(folder: Path) -> list[bytes]:
    (folder / "a.c").write_text("int f(int x) { return x + 1; }\nint main(void) { return f(1); }\n")
    made = []
    for flags in (["-g", "-c"], ["-g", "-static", "-nostdlib", "-Wl,-emain"]):
        command = ["aarch64-linux-gnu-gcc", *flags, "-o", "a.out", "a.c"]
        subprocess.run(command, cwd=folder, check=True)
        made.append((folder / "a.out").read_bytes())
    return made


def _read_lines(path: Path) -> object:
    table = lines.load(path)
    for address in (0, 4, 0x4000E8):
        if table is not None:
            table.find(address)
    return table


def _images(_: Path) -> list[bytes]:
    return [
        kernel_image.build(kernel_image.many(), new_layout=new, relocated=moved, seqs=moved)
        for new in (False, True)
        for moved in (False, True)
    ]


def _kallsyms(_: Path) -> list[bytes]:
    names = [f"{0xFFFF800008000000 + 64 * i:016x} t f{i}" for i in range(50)]
    return ["\n".join(names).encode(), "\n".join(f"{each}\t[mod]" for each in names).encode()]


def _suppressions(_: Path) -> list[bytes]:
    return [
        b'[[suppress]]\nname = "a"\nreason = "b"\nkind = "stale-*"\npc_symbol = "f[o]o"\n',
        (SOURCE / "sanitizer" / "suppressions" / "linux.toml").read_bytes(),
    ]


def _profile(_: Path) -> list[bytes]:
    head = profile.Header(magic=profile.MAGIC, version=profile.VERSION, n_frames=2, n_entries=3)
    frames = bytes(ctypes.sizeof(Frame)) * 2
    return [bytes(head) + frames + bytes(ctypes.sizeof(profile.Profiled)) * 3]


def _events(_: Path) -> list[bytes]:
    events = b"".join(bytes(event_record.Event(kind=n, time=n)) for n in range(12))
    return [bytes(event_record.header(2)) + events]


def _stream(folder: Path) -> list[bytes]:
    made = []
    for name in ("s", "s.gz"):
        stream.write(folder / name, 2, [bytes(32 * 8)])
        made.append((folder / name).read_bytes())
    return made


def _reports(_: Path) -> list[bytes]:
    full = reports.report(findings=[*reports.findings(), reports.lost_write()])
    return [report_json.render(each).encode() for each in (reports.report(), full)]


def _find(name: str) -> list[tuple[int, int]]:
    return [(0x1000, 0x1040)] if name == "f" else []


PARSERS = {
    "words": Parser(
        lambda p: word.parse(_text(p)),
        (word.WordError,),
        lambda _: [b"P0 st wb; P0 dc cvau +8; P0 dsb; D1 rd noncoherent\nP1 mmu off # off; P1 ld dev"],
    ),
    "platforms": Parser(
        lambda p: platforms.load(str(p)), (PlatformError,), _shipped("platforms/*.toml"), ".toml"
    ),
    "costs": Parser(
        lambda p: model.load(str(p)), (model.CostError,), _shipped("cost/costs/*.toml"), ".toml"
    ),
    "suppressions": Parser(suppressions.load, (RunError,), _suppressions),
    "rules": Parser(
        lambda p: rules.parse("--drop", _text(p), _find, lambda _: []),
        (RunError,),
        lambda _: [b"dc civac@f", b"dc *@IPA:0x1000-0x2000", b"*@*", b"ic ivau@0x10-0x20"],
    ),
    "qemu-commands": Parser(
        lambda p: machine.parse(_text(p).split()),
        (RunError,),
        lambda _: [
            b"qemu-system-aarch64 -M virt,virtualization=on -cpu cortex-a57,pmu=off -m 512M,slots=1 "
            b"-smp cpus=2,sockets=1 -object memory-backend-file,id=a,size=1G,mem-path=/x,share=on",
        ],
    ),
    "reports": Parser(report_load.load, (RunError,), _reports),
    "traces": Parser(
        _read_trace,
        (TraceError,),
        lambda _: [synthetic_trace.trace_bytes(synthetic_trace.records(120, sites=10, lines=20), 40)],
    ),
    "symbol-text": Parser(load_symbols, (SymbolError,), _kallsyms),
    "symbol-elf": Parser(load_symbols, (SymbolError,), _elf),
    "symbol-image": Parser(load_symbols, (SymbolError,), _images),
    "dwarf": Parser(_read_lines, (SymbolError,), _elf),
    "profiles": Parser(profile.read, (TraceError,), _profile),
    "events": Parser(event_reader.read, (recording_errors.RecordingError,), _events),
    "streams": Parser(lambda p: list(stream.accesses(p)), (CacheSimError,), _stream),
}


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_input(name: str, tmp_path: Path) -> None:
    parser = PARSERS[name]
    good = parser.good(tmp_path)
    path = tmp_path / f"good{parser.suffix}"
    for each in good:
        path.write_bytes(each)
        assert parser.read(path) is not None
    path = tmp_path / f"damaged{parser.suffix}"
    end, tried, refused = time.monotonic() + SECONDS, 0, 0
    while time.monotonic() < end:
        seed = f"{SEED}:{name}:{tried}"
        path.write_bytes(damaged(seed, good))
        tried += 1
        try:
            refused += parser.read(path) is None
        except parser.errors as error:
            refused += 1
            if len(str(error).splitlines()) != 1:
                pytest.fail(f"seed {seed}: not one line: {error} ({path})")
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error} ({path})")
    print(f"{name}: {tried} inputs from seed {SEED}, {refused} refused")
    assert refused, "no input was bad enough: it tests nothing"
