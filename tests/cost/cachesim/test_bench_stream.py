"""`pocwatch bench --stream`: simulated caches as tables, from a stream whose counts are known by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from streams import access, raw

import pocwatch
from pocwatch.arch.ops import Op
from pocwatch.cost.cachesim import stream

MAIN = "from pocwatch.cli.main import main; main()"
# A line is written, cleaned and invalidated, and read again; another is written and stays dirty.
STREAM = [
    access(0, Op.ST, 0x40000000),
    access(0, Op.DC_CIVAC, 0x40000000),
    access(0, Op.LD, 0x40000000),
    access(0, Op.ST, 0x40001000),
]


def bench(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "bench", "--platform", "cortex-a57-up", *args],
        env={**os.environ, "PYTHONPATH": str(Path(pocwatch.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "accesses"
    stream.write(path, 1, [raw(STREAM)])
    lines = [" ".join(line.split()) for line in bench("--stream", str(path)).stdout.splitlines()]
    assert "4 accesses in caches of cortex-a57-up" in lines
    # Store miss, load miss after the CIVAC (induced), store miss; one dirty copy cleaned and removed.
    assert any(line.startswith("L1D 0 3 1 0 1 0 1") for line in lines)
    assert "dc civac 1 1 0 0" in lines
    # Without the operation the load hits and nothing is written back.
    assert "read 3 2 1" in lines
    assert "written 1 0 1" in lines


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "accesses"
    stream.write(path, 1, [raw(STREAM)])
    value = json.loads(bench("--stream", str(path), "--json", "-").stdout)
    assert value["as_it_was"]["maintenance"]["dc civac"]["issued"] == 1
    assert value["without_maintenance"]["pes"][0]["memory_reads"]["load"] == 0


def test_what_is_no_stream(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "text").write_text("no stream")
    for name, reason in (("fifo", "FIFO"), ("text", "text"), ("none", "none")):
        said = bench("--stream", str(tmp_path / name), code=2).stderr
        assert said.startswith("pocwatch: error: --stream")
        assert reason in said
