"""`pocwatch mutate` as users start it, on a trace of a few lines that is written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic_trace as synthetic
from synthetic_trace import CODE, RAM_BASE
from test_replay_command import record, write

from pocwatch.arch.ops import Kind, Op
from pocwatch.trace import raw
from pocwatch.trace.encode import TRACED
from pocwatch.trace.raw import NO_ADDRESS, Mark

SOURCE = str(Path(__file__).parents[2] / "src")
WRITER, NEEDED, READER, TWIN, OTHER_TWIN, LOOP, UNREAD = range(1, 8)  # f1 to f3 have names
READ, NOT_READ, TWICE, BY_SET_WAY = (RAM_BASE + 0x1000 * n + 64 * n for n in (3, 4, 5, 22))
NOTHING = {"va": NO_ADDRESS, "size": 0}
OFF = {"flags": 0, "size": 8}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def machine() -> Any:
    """Four lines are written and maintained: one read past the caches needs it, one is not read,
    one is cleaned by two call sites, one only by set/way, which an L3 does not see.
    """
    steps = [
        (Op.MMU_ON, NO_ADDRESS, WRITER, NOTHING),
        *((Op.ST, line, WRITER, {}) for line in (READ, NOT_READ, TWICE)),
        *((Op.DC_CIVAC, *at, {"size": 0}) for at in ((READ, NEEDED), (NOT_READ, UNREAD))),
        *((Op.DC_CVAC, *at, {"size": 0}) for at in ((TWICE, TWIN), (TWICE, OTHER_TWIN))),
        (Op.DSB, NO_ADDRESS, NEEDED, NOTHING),
        (Op.LD, READ, READER, OFF),
        (Op.LD, READ + 8, READER, OFF),
        (Op.LD, TWICE, READER, OFF),
        (Op.ST, BY_SET_WAY, WRITER, {}),
        (Op.DC_CISW, NO_ADDRESS, LOOP, NOTHING | {"va": 0}),
        (Op.DSB, NO_ADDRESS, LOOP, NOTHING),
        (Op.LD, BY_SET_WAY, READER, OFF),
    ]
    sites = [
        raw.Traced(op=Mark.SITE, site=n, va=CODE + 64 * n, pa=RAM_BASE + 64 * n, ipa=0xD503201F, el=1)
        for n in range(1, 8)
    ]
    rows = [
        record(seq, op, pa, site, Kind.DEV if fields is OFF else Kind.WB, **fields)
        for seq, (op, pa, site, fields) in enumerate(steps, 1)
    ]
    end = raw.Traced(op=Mark.END, seq=99, pa=NO_ADDRESS, va=NO_ADDRESS, ipa=NO_ADDRESS)
    data = b"".join(map(bytes, [*sites, *rows, end]))
    return synthetic.np.frombuffer(bytearray(data), TRACED)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write(tmp_path / "t.parquet", machine())


@pytest.fixture
def mutate(plugin_path: Path) -> Run:
    def run(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pocwatch_main", "mutate", *map(str, args)],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": f"{SOURCE}:{Path(__file__).parent}",
                "POCWATCH_PLUGIN": str(plugin_path),
            },
            check=False,
        )

    return run


def verdicts(path: Path) -> dict[str, tuple[str, dict[str, int]]]:
    found = json.loads(path.read_text())
    return {site["frames"][0]: (site["verdict"], site["reads"]) for site in found["sites"]}


def test_needed_redundant_and_needed_elsewhere(mutate: Run, trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "sites.json"
    done = mutate("--json", out, trace)
    assert done.returncode == 0, done.stderr
    none = {"xgene-l3-up": 0, "cortex-a57-up": 0}
    assert verdicts(out) == {
        f"f{NEEDED}": ("needed", {"xgene-l3-up": 1, "cortex-a57-up": 1}),
        f"f{LOOP}": ("needed elsewhere", none | {"cortex-a57-up": 1}),
        f"f{UNREAD}": ("redundant", none),
        f"f{TWIN}": ("redundant", none),
        f"f{OTHER_TWIN}": ("redundant", none),
    }
    text = " ".join(done.stdout.split())
    assert "5 call sites of maintenance, each dropped alone" in text
    assert "1 needed, 1 needed elsewhere, 3 redundant" in text
    first = "without it: stale-read in f3 (host, MMU off), written in f1"
    assert f"dc civac host: f{NEEDED} {first}" in text
    assert f"dc cisw host: f{LOOP} {first} needed on cortex-a57-up only" in text


def test_the_first_platform_is_this_one(mutate: Run, trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "sites.json"
    assert mutate("--json", out, "--platform", "cortex-a57-up", trace).returncode == 0
    assert verdicts(out)[f"f{LOOP}"] == ("needed", {"cortex-a57-up": 1})


def test_jobs_change_nothing(mutate: Run, trace: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "1.json", tmp_path / "3.json"
    texts = [mutate("--json", one, trace).stdout, mutate("--jobs", 3, "--json", other, trace).stdout]
    assert texts[0] == texts[1]
    assert one.read_bytes() == other.read_bytes()


def test_a_trace_that_was_cut_is_judged_and_said_to_be(mutate: Run, tmp_path: Path) -> None:
    cut = write(tmp_path / "cut.parquet", machine(), complete=False, failure="QEMU was killed")
    done = mutate(cut)
    assert done.returncode == 3
    assert "PARTIAL" in done.stdout
    assert "QEMU was killed" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["/no/such"], "/no/such: cannot be read"),
        (["--symbols", "x", "t.parquet"], "--symbols: a trace has its own"),
        (["--platform", "fwb", "TRACE"], "--platform fwb"),
        (["--json", "/no/dir/x", "TRACE"], "there is no directory /no/dir"),
        (["qemu-system-aarch64", "-M", "raspi3b"], "raspi3b"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_one_line(mutate: Run, trace: Path, args: list[str], says: str) -> None:
    done = mutate(*(trace if arg == "TRACE" else arg for arg in args))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_options_behind_the_trace_are_pointed_at(mutate: Run, tmp_path: Path) -> None:
    done = mutate(tmp_path / "t.parquet", "--json", "out.json")
    assert done.returncode == 2
    assert "--json stands behind the trace" in done.stderr
    assert "options go before it" in done.stderr
