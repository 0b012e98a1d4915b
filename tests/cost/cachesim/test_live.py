"""A stream used while it is made, without a machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from streams import raw, small, words

from pocwatch.cost.cachesim import CacheSimError, record, simulate
from pocwatch.cost.cachesim.live import Live

STREAM = words("P0 st 3; P0 ld 3")


def test_the_result_of_the_reader() -> None:
    with Live(lambda fifo: simulate(fifo, small())) as live:
        live.path.write_bytes(bytes(record.header(1)) + raw(STREAM))
    assert live.result().accesses == 2
    assert not live.path.parent.exists()


def test_the_reader_s_error_ends_the_writer() -> None:
    def fail(path: Path) -> None:
        with path.open("rb"):
            raise CacheSimError("no")

    def write_for_ever(path: Path) -> None:
        with path.open("wb", buffering=0) as fifo:
            while True:
                fifo.write(bytes(65536))

    with Live(fail) as live, pytest.raises(BrokenPipeError):
        write_for_ever(live.path)
    with pytest.raises(CacheSimError, match="no"):
        live.result()


def test_a_machine_that_never_started() -> None:
    """The reader is not left waiting for a writer."""
    with Live(lambda fifo: simulate(fifo, small())) as live:
        pass
    with pytest.raises(CacheSimError, match="is no access stream"):
        live.result()
