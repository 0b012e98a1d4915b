"""Streams: the record's bits, recording compressed and live, and what is refused."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest
from streams import access, raw, small, words

from pocwatch.arch.ops import Kind, Op
from pocwatch.cost.cachesim import CacheSimError, native, record, simulate, stream
from pocwatch.cost.cachesim.counts import Use

STREAM = words("P0 st 3; P0 dc civac 3; P0 dsb; P0 ld 3; P0 if 9")


def plain(path: Path, text: bytes = raw(STREAM), pes: int = 1) -> Path:
    path.write_bytes(bytes(record.header(pes)) + text)
    return path


def test_the_record_s_bits() -> None:
    """pa 43:0, size 50:44, pe 56:51, op 61:57, kind 63:62."""
    made = access(37, Op.DC_CIVAC, 0xABC_DEF0_1234, Kind.NC, 64)
    assert int.from_bytes(bytes(made), "little") == (
        0xABC_DEF0_1234 | 64 << 44 | 37 << 51 | 10 << 57 | 2 << 62
    )
    assert bytes(record.header(2))[:24] == b"PWACCESS" + bytes(
        [1, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0]
    ) + bytes(4)


def test_written_read_and_simulated(tmp_path: Path) -> None:
    path = tmp_path / "stream.gz"
    assert stream.write(path, 1, [raw(STREAM[:2]), raw(STREAM[2:])]) == len(STREAM)
    assert [bytes(each) for each in stream.accesses(path)] == [bytes(each) for each in STREAM]
    counts = simulate(path, small())
    assert counts.accesses == len(STREAM)
    assert counts.pes[0].caches[1].induced[Use.LOAD] == 1
    assert bytes(simulate(plain(tmp_path / "plain"), small())) == bytes(counts)
    less = simulate(path, small(), [Op.DC_CIVAC])
    assert less.pes[0].caches[1].hits[Use.LOAD] == 1


def test_a_repetitive_stream_compresses_well(tmp_path: Path) -> None:
    path = tmp_path / "stream.gz"
    stream.write(path, 1, [raw(STREAM)] * 10_000)
    assert path.stat().st_size * 50 < len(STREAM) * 8 * 10_000


def test_live_from_a_fifo_plain_or_recorded(tmp_path: Path) -> None:
    """Chunks need not be whole records, nor come at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = bytes(record.header(1)) + raw(STREAM) * 1000

    def feed() -> None:
        with fifo.open("wb", buffering=0) as file:
            for start in range(0, len(text), 1003):
                file.write(text[start : start + 1003])

    for use in (
        lambda: simulate(fifo, small()).accesses,
        lambda: stream.compress(fifo, tmp_path / "c"),
    ):
        writer = threading.Thread(target=feed)
        writer.start()
        assert use() == 1000 * len(STREAM)
        writer.join()
    assert simulate(tmp_path / "c", small()).accesses == 1000 * len(STREAM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is no access stream"),
        (b"#!/bin/sh and more than thirty-two bytes", "is no access stream"),
        (bytes(record.Header(magic=record.MAGIC, version=2, record_size=8)), "of version 2"),
        (
            bytes(record.Header(magic=record.MAGIC, version=1, record_size=16)),
            "records of 16 bytes",
        ),
        (bytes(record.header(1)) + b"half", "ends within a record"),
        (gzip.compress(bytes(record.header(1)) * 9)[:-6], "cannot be decompressed"),
        (bytes(record.header(2)), "of a machine with 2 PEs, but platform small has 1"),
        (
            bytes(record.header(1)) + raw([access(1, Op.LD)]),
            "access of PE 1, but platform small has 1",
        ),
    ],
)
def test_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "stream"
    path.write_bytes(text)
    with pytest.raises(CacheSimError) as error:
        simulate(path, small())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_stream_and_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CacheSimError, match="No such file"):
        simulate(tmp_path / "none", small())
    monkeypatch.setenv("POCWATCH_CACHESIM", str(tmp_path / "none.so"))
    with pytest.raises(CacheSimError, match=r"none\.so: the compiled cache simulator is not there"):
        native.library_path()
    (tmp_path / "none.so").write_text("no library")
    with pytest.raises(CacheSimError, match="cannot be loaded"):
        simulate(plain(tmp_path / "stream"), small())
