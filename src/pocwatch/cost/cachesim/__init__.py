"""Caches with sizes, fed with every access: what maintenance costs in hits, misses and write-backs.

`simulate` runs the compiled simulator over a stream; `reference` is what it does, said slowly. What
such a cache shows is one of the behaviours that the line model allows, so nothing here is a verdict.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pocwatch.arch.ops import Op
from pocwatch.cost.cachesim.counts import Counts as Counts
from pocwatch.cost.cachesim.errors import CacheSimError as CacheSimError
from pocwatch.cost.cachesim.native import Native
from pocwatch.cost.cachesim.stream import Reader
from pocwatch.platforms import Platform


def simulate(stream_path: Path | str, platform: Platform, ignored: Collection[Op] = ()) -> Counts:
    """Return what the platform's caches do with a stream: a file, compressed or not, or a FIFO.

    With `ignored` operations the same accesses are counted as if those did nothing; the difference
    of two such counts is all that the operations cost, second-order effects included. Raises
    CacheSimError.
    """
    with Reader(stream_path) as reader, Native(platform, ignored) as native:
        if reader.n_pes > platform.pes:
            raise CacheSimError(
                f"{stream_path}: is of a machine with {reader.n_pes} PEs, but platform "
                f"{platform.name} has {platform.pes}: choose one with as many"
            )
        for chunk in reader:
            native.run(chunk)
        return native.counts()
