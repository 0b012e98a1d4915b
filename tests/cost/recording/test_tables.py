"""Recordings as tables, text and JSON, and `pocwatch bench --recording`, which prints them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from recordings import DATA_TRANSLATION, PAGE, end, entry, fault, maintenance, text, touch, written

import pocwatch
from pocwatch.arch.ops import Op
from pocwatch.cost.recording.tables import Table, size
from pocwatch.cost.recording.text import render

MAIN = "from pocwatch.cli.main import main; main()"
EVENTS = [
    written(5, PAGE, 64 * PAGE, 100),
    entry(10),
    fault(11, PAGE, DATA_TRANSLATION),
    maintenance(12, Op.DC_CIVAC, PAGE, 64, changed=60, dirty=2),
    entry(13),
    touch(14, PAGE),
    fault(15, 9 * PAGE),
    end(20),
]


def run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, "bench", "--recording", str(path), *options],
        env={**os.environ, "PYTHONPATH": str(Path(pocwatch.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(text(EVENTS))
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for wanted in (
        "translation fault, RAM, read 1",
        "translation fault, device, read 1",
        "handling a stage 2 fault dc civac 64 60 4 2",
        "used with the MMU off, 4 KiB 1",
        "stage 2 entries of 4 KiB 1",
        "written by user space before the first run, 4 KiB 1",
        "only used as data through the caches 64",
        "fwb xgene-l3 has no FEAT_S2FWB",
    ):
        assert wanted in lines
    assert "Translation faults on RAM: 1 of data and 0 of fetches; their time is in." in done.stdout
    assert any(line.startswith("mainline-2021 0 0 64 64 0") for line in lines)


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(text(EVENTS))
    data = json.loads(run(path, "--json", "-").stdout)
    assert data["complete"]
    assert data["guests"][0]["loaded_bytes"] == 100
    (maintained,) = data["total"]["maintenance"]
    assert maintained == {
        "context": "handling a stage 2 fault",
        "operation": "dc civac",
        "times": 64,
        "changed": 60,
        "redundant": 4,
        "dirty": 2,
    }
    assert data["over_time"]
    mainline = next(p for p in data["policies"] if p["policy"] == "mainline-2021")
    assert mainline["counts"]["dc_poc_dirty"] == 64
    assert mainline["occasions"] == {"at_map": {"times": 1, "pages": 1}}


def test_cut_short_and_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(text(EVENTS[:-1]))
    assert run(path).stdout.startswith("The recording is cut short")
    for options, reason in (
        ([str(tmp_path / "none")], "cannot be read"),
        ([str(path), "--platform", "nosuch"], "nosuch"),
        ([str(path), "--costs", "nosuch"], "nosuch"),
    ):
        done = run(Path(options[0]), *options[1:])
        assert done.returncode == 2
        assert done.stderr.startswith("pocwatch: error: ")
        assert reason in done.stderr


def test_a_table() -> None:
    table = Table("T", ("what", "n"), [("a", 1000), ("b", "not here"), ("c",)], "Why.")
    assert render(table).splitlines() == [
        *("T", "", "what  n", "a     1,000", "b     not here", "c     ", "", "Why.")
    ]


def test_numbers_stand_to_the_right() -> None:
    table = Table("T", ("what", "n", "m"), [("a", 1000, 1), ("b", 5, ""), ("c", "not here")])
    assert render(table).splitlines()[2:] == [
        *("what      n  m", "a     1,000  1", "b         5", "c     not here")
    ]


def test_sizes() -> None:
    assert [size(n) for n in (64, 4096, 2 << 20, 1 << 30)] == [
        "64 bytes",
        "4 KiB",
        "2 MiB",
        "1 GiB",
    ]
