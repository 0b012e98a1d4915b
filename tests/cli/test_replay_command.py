"""`pocwatch replay` as users start it, on a trace of two lines that is written by hand."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic_trace as synthetic
from synthetic_trace import CODE, RAM_BASE

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.platforms import definition
from pocwatch.trace import raw
from pocwatch.trace.encode import TRACED
from pocwatch.trace.raw import NO_ADDRESS, Mark
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import Flag
from pocwatch.trace.writer import Writer

SOURCE = str(Path(__file__).parents[2] / "src")
WRITER, CLEANER, READER = 1, 2, 3
CLEANED, DIRTY = RAM_BASE + 0x3000, RAM_BASE + 0x5040
NAMES = ("xgene-l3-up", "cortex-a57-up")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def record(seq: int, op: Op, pa: int, site: int, kind: Kind = Kind.WB, **fields: Any) -> raw.Traced:
    given = {"va": pa, "size": 8, "el": 1, "flags": Flag.MMU_ON, "s2_attr": 0xFF, "s1_mair": 0xFF}
    return raw.Traced(
        **{"seq": seq, "instructions": 10 * seq, "op": op, "pa": pa, "site": site, "kind": kind}
        | {"ipa": NO_ADDRESS, "fetch_ipa": NO_ADDRESS}
        | given
        | fields
    )


def machine() -> Any:
    """Two lines are written. One is cleaned. Both are read past the caches, the other one twice."""
    none = {"va": NO_ADDRESS, "size": 0}
    off = {"flags": 0, "size": 8}
    all_records = [
        *(
            raw.Traced(
                op=Mark.SITE, site=n, va=CODE + 64 * n, pa=RAM_BASE + 64 * n, ipa=0xD503201F, el=1
            )
            for n in (WRITER, CLEANER, READER)
        ),
        record(1, Op.MMU_ON, NO_ADDRESS, WRITER, **none),
        record(2, Op.ST, CLEANED, WRITER),
        record(3, Op.ST, DIRTY, WRITER),
        record(4, Op.DC_CIVAC, CLEANED, CLEANER, size=0),
        record(5, Op.DSB, NO_ADDRESS, CLEANER, **none),
        record(6, Op.LD, CLEANED, READER, Kind.DEV, **off),
        record(7, Op.LD, DIRTY, READER, Kind.DEV, **off),
        record(8, Op.ST, DIRTY, WRITER),
        record(9, Op.LD, DIRTY, READER, Kind.DEV, **off),
        raw.Traced(op=Mark.END, seq=10, pa=NO_ADDRESS, va=NO_ADDRESS, ipa=NO_ADDRESS),
    ]
    return traced(all_records)


def traced(records: Iterable[raw.Traced]) -> Any:
    return synthetic.np.frombuffer(bytearray(b"".join(map(bytes, records))), TRACED)


class Names(synthetic.Functions):
    """As a recording's, with what it takes along: the same functions."""

    @staticmethod
    def packed() -> str:
        from pocwatch.sanitizer.locate import Program, Where
        from pocwatch.sanitizer.recording.names import LiveNames
        from pocwatch.sanitizer.symbols import SymbolTable
        from pocwatch.sanitizer.symbols.table import Symbol

        symbols = [Symbol(CODE + 64 * n, f"f{n}") for n in range(10)]
        program = Program("host", SymbolTable.of("vmlinux", symbols))
        live = LiveNames([program], Path("/none"), RAM_BASE, 1 << 20)
        live._places = [
            Where(CODE + 64 * n, RAM_BASE + 64 * n, NO_ADDRESS, False) for n in range(1, 4)
        ]
        return live.packed()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write(tmp_path / "t.parquet")


def write(path: Path, all_records: Any = None, **values: Any) -> Path:
    known = [{"name": n, **definition.table(platforms.load(n))} for n in NAMES]
    info = synthetic.info(platforms=known, extra={"programs": Names.packed()})
    info = dataclasses.replace(info, counters={"instructions": 999, "maintenance": {"dc civac": 7}})
    with path.open("wb") as file:
        writer = Writer(file, info, Names())
        for part in synthetic.parts(machine() if all_records is None else all_records, 8):
            writer.add(part)
            writer.checkpoint()
        extra = {**info.extra, **values.pop("extra", {})}
        writer.close(dataclasses.replace(info, **{"complete": True, "extra": extra, **values}))
    return path


@pytest.fixture
def replay(plugin_path: Path) -> Run:
    def run(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pocwatch_main", "replay", *map(str, args)],
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


def test_a_stale_read_is_found_once_with_who_wrote_it(
    replay: Run, trace: Path, tmp_path: Path
) -> None:
    done = replay(trace, "--platform", "xgene-l3-up", "--json", tmp_path / "r.json")
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    (finding,) = report["findings"]
    assert finding["kind"] == "stale-read"
    assert finding["count"] == 2
    assert finding["access"]["symbol"] == "f3"
    assert finding["writer"]["symbol"] == "f1"
    assert finding["line"]["pa"] == f"{DIRTY:#x}"
    assert (report["instructions"], report["maintenance"]) == (999, {"dc civac": 7})
    assert report["complete"] is True
    assert report["command"] == ["pocwatch", "replay", str(trace), "--platform", "xgene-l3-up"]


@pytest.mark.parametrize("where", ["f2", "*", f"PA:{CLEANED:#x}-{CLEANED + 64:#x}"])
def test_without_the_clean_the_other_line_is_stale_too(
    replay: Run, trace: Path, tmp_path: Path, where: str
) -> None:
    drop = f"dc civac@{where}"
    done = replay(
        *(trace, "--platform", "xgene-l3-up", "--policy-drop", drop),
        *("--json", tmp_path / "r.json"),
    )
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["dropped"] == {drop: 1}
    assert {f["line"]["pa"] for f in report["findings"]} == {f"{CLEANED:#x}", f"{DIRTY:#x}"}
    (dropped,) = (m for f in report["findings"] for m in f["maintenance"])
    assert (dropped["symbol"], dropped["rule"]) == ("f2", drop)


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_profile_for_all_platforms(replay: Run, tmp_path: Path, jobs: int) -> None:
    # Besides the clean of `machine`: one more, of what is clean by then; one of no line,
    # which every shard is shown.
    more = (
        record(10, Op.DC_CIVAC, CLEANED, CLEANER, size=0),
        record(11, Op.DC_CISW, NO_ADDRESS, CLEANER, size=0),
        raw.Traced(op=Mark.END, seq=12, pa=NO_ADDRESS, va=NO_ADDRESS, ipa=NO_ADDRESS),
    )
    all_records = synthetic.np.concatenate([machine()[:-1], traced(more)])
    path = write(tmp_path / "more.parquet", all_records)
    out = tmp_path / "p.json"
    done = replay(path, "--jobs", jobs, "--profile", "--profile-json", out)
    assert done.returncode == 1, done.stderr
    found = json.loads(out.read_text())
    assert found["platforms"] == list(NAMES)
    assert {
        s["op"]: (s["count"], s["judged"], s["lines"], s["redundant"], s["needed"])
        for s in found["sites"]
    } == {
        "dc civac": (2, 2, 1, 1, {"xgene-l3-up": 1, "cortex-a57-up": 1}),
        "dc cisw": (1, 0, 0, 0, {"xgene-l3-up": 0, "cortex-a57-up": 0}),
    }
    assert f"profile on platform {NAMES[0]}: 3 operations" in done.stderr
    assert f"needed on {NAMES[0]}, {NAMES[1]}\n" in done.stderr


def test_a_profile_that_cannot_be_written_is_refused_first(replay: Run, trace: Path) -> None:
    done = replay(trace, "--profile-json", "/none/p.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "pocwatch: error: --profile-json /none/p.json: there is no directory"
    )


def test_each_platform_has_its_report(replay: Run, trace: Path, tmp_path: Path) -> None:
    done = replay(trace, "--json", tmp_path / "r.json")
    assert done.returncode == 1, done.stderr
    assert not (tmp_path / "r.json").exists()
    for name in NAMES:
        assert f"pocwatch: platform {name}:\n" in done.stderr
        report = json.loads((tmp_path / f"r-{name}.json").read_text())
        assert (report["platform"], len(report["findings"])) == (name, 1)


def test_the_same_whoever_does_it(replay: Run, tmp_path: Path) -> None:
    """Many lines and PEs, with drops: one process or three, byte for byte."""
    path = write(tmp_path / "many.parquet", synthetic.records(600, lines=300, sites=20))
    said = []
    for jobs in (1, 3):
        done = replay(
            path, "--policy-drop", "dc *@*", "--jobs", jobs, "--json", tmp_path / "r.json"
        )
        assert done.returncode == 1, done.stderr
        said.append((done.stderr, [(tmp_path / f"r-{name}.json").read_bytes() for name in NAMES]))
    assert said[0] == said[1]
    assert len(json.loads(said[0][1][0])["findings"]) > 3


@pytest.fixture
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
    ) as started:
        yield started


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_on_a_cluster_whose_worker_has_two_threads(
    replay: Run, trace: Path, plugin_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    address = request.getfixturevalue("cluster").scheduler_address
    done, here = replay(trace, "--scheduler", address), replay(trace)
    assert done.returncode == 1, done.stderr
    assert done.stderr == here.stderr


def test_a_damaged_trace_is_judged_where_it_is_whole(replay: Run, trace: Path) -> None:
    with Trace(trace) as whole:
        group = next(g for g in whole.groups if g.shard == 3)  # the cleaned line's
    data = bytearray(trace.read_bytes())
    data[group.offset + group.size // 2] ^= 1
    trace.write_bytes(data)
    done = replay(trace, "--platform", "xgene-l3-up")
    assert done.returncode == 3
    assert "of shard 3 in generation" in done.stderr
    assert "stale-read in f3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trace_that_was_cut(replay: Run, trace: Path) -> None:
    trace.write_bytes(trace.read_bytes()[:-100])
    done = replay(trace, "--platform", "xgene-l3-up")
    assert done.returncode == 3
    assert "cut or damaged behind its last whole checkpoint" in done.stderr
    trace.write_bytes(trace.read_bytes()[:50])
    done = replay(trace)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("interrupted", "code"), [(True, 1), (False, 3)])
def test_a_recording_that_did_not_end(
    replay: Run, tmp_path: Path, interrupted: bool, code: int
) -> None:
    """As the run would have: an interrupted one is judged as it is, a failed machine is a failure."""
    why = "ended by the user" if interrupted else "QEMU was killed by SIGKILL"
    path = write(tmp_path / "t", complete=False, failure=why, extra={"interrupted": interrupted})
    done = replay(path, "--platform", "xgene-l3-up")
    assert done.returncode == code, done.stderr
    assert why in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--platform", "fwb"], "not recorded for it"),
        (["--platform", "nothing"], "unknown platform 'nothing'"),
        (["--policy-drop", "dc civac"], "not of the form OP@WHERE"),
        (["--policy-drop", "dc civac@f77"], "a trace knows the functions"),
        (["--policy-drop", "st@*"], "'st' is no maintenance operation"),
        (["--jobs", "2", "--scheduler", "tcp://h:1"], "exclude each other"),
        (["--scheduler", "threads"], "use --jobs N"),
        (["--json", "/nowhere/r.json"], "there is no directory"),
    ],
)
def test_bad_input(replay: Run, trace: Path, args: list[str], said: str) -> None:
    done = replay(trace, *args)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_platform_of_the_same_caches_by_another_name(
    replay: Run, trace: Path, tmp_path: Path
) -> None:
    text = (Path(platforms.__file__).parent / "xgene-l3-up.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    done = replay(trace, "--platform", tmp_path / "mine.toml")
    assert done.returncode == 1, done.stderr
    assert "on platform mine" in done.stderr
