"""A trace is what was recorded: the way to Parquet and back, and what is left of a damaged file."""

from __future__ import annotations

import importlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic_trace as synthetic
from synthetic_trace import records, trace_bytes

from pocwatch.trace import footer, raw, schema
from pocwatch.trace.decode import Decoder
from pocwatch.trace.errors import RecordingError, TraceError
from pocwatch.trace.raw import Mark
from pocwatch.trace.reader import Trace

RECORDS = records(1500, lines=120)
SMALL = trace_bytes(RECORDS, 600)
# All that there is in a row, in few columns.
IN_SHORT = ["seq", "op", "pa", "symbol", "why", "value"]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens bytes as a trace."""
    traces: list[Trace] = []

    def open_bytes(data: bytes) -> Trace:
        path = tmp_path / "t.parquet"
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        traces.append(Trace(path))
        return traces[-1]

    yield open_bytes
    for trace in traces:
        trace.close()


def decoded(trace: Trace, *shards: int | None) -> Any:
    decoder = Decoder(trace.info.ops, trace.info.kinds)
    wanted = shards or (*range(schema.SHARDS), None)
    return np.concatenate(
        [
            decoder.records([t for s in wanted if (t := trace.shard(g, s)) is not None])
            for g in range(trace.generations)
        ]
    )


def spelled_out(stream: Any, *, dense: bool = True) -> list[tuple[Any, ...]]:
    """What a stream of raw records says, whatever its numbers are: marks put where they are used; of each
    its `seq`, its `pa` and the rest.

    `dense`: numbers go from 1 without gaps.
    """
    sites: dict[int, Any] = {0: None}
    frames: dict[int, Any] = {0: None}
    said = []
    for r in stream:
        values = {name: r[name].tolist() for name in stream.dtype.names}
        if values["op"] == Mark.SITE:
            assert not dense or values["site"] == len(sites)
            sites[values["site"]] = (values["va"], values["pa"], values["ipa"], values["el"])
            continue
        if values["op"] == Mark.STACK:
            assert values["stack"] == len(frames)
            frames[values["stack"]] = (
                *(values[name] for name in ("va", "pa", "ipa", "el", "vm_id", "flags")),
                frames[values["writer"]],
            )
            continue
        if values["op"] == Mark.CONTENT:
            said.append((values["seq"], values["pa"], r.tobytes()[raw.CONTENT_AT :]))
            continue
        if values["op"] == Mark.WRITER:
            values["writer"] = (values["writer"] >> 24, sites[values["writer"] & 0xFF_FFFF])
        values["site"], values["stack"] = sites[values["site"]], frames[values["stack"]]
        said.append((values.pop("seq"), values.pop("pa"), tuple(values.items())))
    return said


def test_back_to_the_same_raw_records(opened: Any) -> None:
    """All fields of all records, in the order of `seq`, with the instructions and stacks they name."""
    trace = opened(SMALL)
    assert trace.damage == []
    assert trace.generations == 4 == -(-len(RECORDS) // 600)
    assert spelled_out(decoded(trace)) == spelled_out(RECORDS, dense=False)


def test_a_shard_is_its_lines_and_what_is_of_no_line(opened: Any) -> None:
    trace = opened(SMALL)
    everything = spelled_out(RECORDS, dense=False)
    for shard in (0, 1):
        mine = [
            r for r in everything if r[1] == raw.NO_ADDRESS or (r[1] >> 12) % schema.SHARDS == shard
        ]
        assert spelled_out(decoded(trace, shard, None)) == mine


def test_a_writer_without_a_time_comes_before_what_follows_it(opened: Any) -> None:
    """The plugin says who wrote just before the read."""
    stream = records(500)
    writers = np.flatnonzero(stream["op"] == Mark.WRITER)
    expected = stream["seq"][writers + 1].tolist()
    stream["seq"][writers] = 0
    memory = io.BytesIO()
    synthetic.write(memory, stream, 10_000)
    table = opened(memory.getvalue()).in_order(0)
    seq = table.filter(np.equal(table["op"].to_pylist(), "writer"))["seq"].to_pylist()
    assert seq == expected


def test_rows_in_order_by_position(opened: Any) -> None:
    trace = opened(SMALL)
    stacks = [r for r in RECORDS if r["op"] == Mark.STACK]
    assert trace.rows == 1500 + len(stacks)
    seq = trace.window(0, trace.rows)["seq"].to_pylist()
    assert seq[len(stacks) :] == sorted(seq[len(stacks) :])
    for start in (0, 599, 1000, trace.rows - 10, trace.rows + 5):
        assert trace.window(start, 100)["seq"].to_pylist() == seq[start : start + 100]


def test_one_line_s_events(opened: Any) -> None:
    trace = opened(SMALL)
    for pa in {int(r["pa"]) for r in RECORDS[700:720] if r["pa"] != raw.NO_ADDRESS}:
        expected = [int(r["seq"]) for r in RECORDS if r["op"] < 64 or r["op"] in (66, 67)
                    if r["pa"] != raw.NO_ADDRESS and r["pa"] // 64 == pa // 64]  # fmt: skip
        found = [s for t in trace.line(pa, ["seq", "op"]) for s in t["seq"].to_pylist()]
        assert found == expected
        assert expected


def test_names_of_code(opened: Any) -> None:
    """Symbols of instructions, `writer` rows of who wrote, stacks outermost first."""
    stream = RECORDS
    sites = {int(r["site"]): r for r in stream if r["op"] == Mark.SITE}
    frames = {int(r["stack"]): r for r in stream if r["op"] == Mark.STACK}
    by_seq = {int(r["seq"]): r for r in stream if r["op"] not in (Mark.SITE, Mark.STACK)}
    name = synthetic.Functions.name
    stacks = 0
    for row in opened(SMALL).window(0, 1 << 30).to_pylist():
        if row["op"] in ("frame", "end"):
            continue
        if row["op"] == "content":
            assert {row[name] for name in ("pc", "symbol", "stack", "site", "va")} == {None}
            continue
        record = by_seq[row["seq"]]
        number = record["writer"] & 0xFFFFFF if row["op"] == "writer" else record["site"]
        if number:
            site = sites[int(number)]
            assert (row["pc"], row["symbol"]) == (int(site["va"]), name(int(site["va"])))
        else:
            assert (row["pc"], row["symbol"]) == (None, None)
        chain, frame = [], int(record["stack"])
        while frame:
            pc = int(frames[frame]["va"])
            chain.append((name(pc) or f"{pc:#x}").split("+")[0])
            frame = int(frames[frame]["writer"])
        assert row["stack"] == (";".join(reversed(chain)) or None)
        stacks += bool(chain)
    assert stacks > 20


@pytest.mark.parametrize("reader", ["pandas", "polars", "duckdb"])
def test_others_read_it(tmp_path: Path, reader: str) -> None:
    """All rows, with addresses to their last bit."""
    path = tmp_path / "t.parquet"
    path.write_bytes(SMALL)
    library = importlib.import_module(reader)
    stream = [r for r in RECORDS if r["op"] < 64]
    expected = (len(stream), sum(int(r["va"]) for r in stream if r["va"] != raw.NO_ADDRESS) % 2**64)
    if reader == "duckdb":
        said = library.sql(
            f"select count(*), sum(va::hugeint) from '{path}' where op not in "
            "('frame', 'content', 'writer', 'end')"
        ).fetchall()[0]
    else:
        options = {"dtype_backend": "pyarrow"} if reader == "pandas" else {}
        frame = library.read_parquet(path, **options)
        is_mark = frame["op"].is_in if reader == "polars" else frame["op"].isin
        marks = is_mark(["frame", "content", "writer", "end"])
        column = frame.filter(~marks)["va"] if reader == "polars" else frame[~marks]["va"]
        said = (len(column), sum(v for v in column.to_list() if isinstance(v, int)))
    assert (said[0], int(said[1]) % 2**64) == expected


def test_a_file_cut_anywhere_is_used_up_to_its_last_checkpoint(opened: Any) -> None:
    whole = opened(SMALL)
    all_rows = whole.window(0, 1 << 30, IN_SHORT).to_pylist()
    seen = set()
    for end in range(0, len(SMALL), 1000):
        try:
            trace = opened(SMALL[:end])
        except TraceError:
            assert end < 20_000
            continue
        assert trace.damage, end
        rows = trace.window(0, 1 << 30, IN_SHORT).to_pylist()
        assert rows == all_rows[: len(rows)]
        seen.add(len(rows))
        again = opened(SMALL[: footer.last_valid(SMALL[:end])])  # as other readers see it
        assert pq.read_table(io.BytesIO(again.path.read_bytes())).num_rows == len(rows)
    assert len(seen) >= 3


def test_damage_is_found_and_the_rest_used(opened: Any) -> None:
    """Never a crash, and no wrong row: each row is one of the undamaged trace's."""
    rows = opened(SMALL).window(0, 1 << 30, IN_SHORT).to_pylist()
    whole = {r["seq"]: r for r in rows if r["op"] != "frame"}
    chance = random.Random(7)
    for _ in range(30):
        data = bytearray(SMALL)
        at = chance.randrange(len(data))
        size = chance.choice([1, 1, 8, 500])
        for i in range(at, min(at + size, len(data))):
            data[i] ^= chance.randrange(1, 256)
        try:
            trace = opened(bytes(data))
        except TraceError:
            continue
        rows = trace.window(0, 1 << 30, IN_SHORT).to_pylist()
        assert all(whole[r["seq"]] == r for r in rows if r["op"] != "frame")
        assert trace.damage or len(rows) == trace.rows
        decoded(trace)


def test_a_damaged_row_group_is_named_and_skipped(opened: Any) -> None:
    group = next(g for g in opened(SMALL).groups if (g.generation, g.shard) == (1, 1))
    data = bytearray(SMALL)
    data[group.offset + group.size // 2] ^= 1
    trace = opened(bytes(data))
    (line,) = trace.damage
    assert f"the {group.rows} rows of shard 1 in generation 1" in line
    assert trace.rows == opened(SMALL).rows - group.rows
    assert trace.shard(1, 1) is None


@pytest.mark.parametrize(
    "data", [b"", b"no", b"PAR1", b"PAR1" * 10, b"\0" * 5000, b"PAR1" + bytes(99)]
)
def test_what_is_no_trace(opened: Any, data: bytes) -> None:
    with pytest.raises(TraceError, match=r"t\.parquet"):
        opened(data)


def test_a_parquet_file_of_another_program(tmp_path: Path) -> None:
    pq.write_table(pq.read_table(io.BytesIO(SMALL)), tmp_path / "t.parquet")
    with pytest.raises(TraceError, match=r"t\.parquet"):
        Trace(tmp_path / "t.parquet")


def test_a_newer_version_is_refused(monkeypatch: pytest.MonkeyPatch, opened: Any) -> None:
    monkeypatch.setattr(schema, "VERSION", (2, 0))
    newer = trace_bytes(records(10), 100)
    monkeypatch.undo()
    with pytest.raises(TraceError, match=r"version 2\.0; this pocwatch reads version 1"):
        opened(newer)


def test_numbers_that_no_mark_gave_are_refused() -> None:
    stream = records(100, sites=10)
    stream["site"][50] = 1
    with pytest.raises(RecordingError, match="number 1 of its instructions"):
        synthetic.write(io.BytesIO(), stream, 1000)


def test_footers_stay_small_beside_the_rows() -> None:
    """Many small generations: most get no footer of their own."""
    memory = io.BytesIO()
    synthetic.write(memory, records(6000), 200)
    seals = memory.getvalue().count(footer.MARK)
    assert 2 < seals < 30
