"""The compiled simulator, with ctypes. Same counts as `reference`, some hundred times as fast."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from types import TracebackType

from pocwatch.arch.ops import Op
from pocwatch.cost.cachesim import hierarchy
from pocwatch.cost.cachesim.counts import Counts
from pocwatch.cost.cachesim.errors import CacheSimError
from pocwatch.cost.cachesim.record import Access
from pocwatch.platforms import Platform

_NAME = "pocwatch_cachesim.so"


def library_path() -> Path:
    """Return the library: $POCWATCH_CACHESIM, or the installed one. Raise CacheSimError."""
    override = os.environ.get("POCWATCH_CACHESIM")
    folder = resources.files("pocwatch") / "cost" / "cachesim"
    path = Path(override) if override else Path(str(folder / _NAME))
    if not path.is_file():
        said = "POCWATCH_CACHESIM=" if override else ""
        raise CacheSimError(
            f"{said}{path}: the compiled cache simulator is not there; install pocwatch with pip "
            "(which builds it), or set POCWATCH_CACHESIM to it"
        )
    return path


def _load() -> ctypes.CDLL:
    path = library_path()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise CacheSimError(f"{path}: cannot be loaded ({error})") from None
    library.pw_sim_new.argtypes = [ctypes.POINTER(hierarchy.Config)]
    library.pw_sim_new.restype = ctypes.c_void_p
    library.pw_sim_free.argtypes = [ctypes.c_void_p]
    library.pw_sim_free.restype = None
    library.pw_sim_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.pw_sim_run.restype = ctypes.c_size_t
    library.pw_sim_counts.argtypes = [ctypes.c_void_p]
    library.pw_sim_counts.restype = ctypes.POINTER(Counts)
    return library


class Native:
    """A hierarchy and what was counted so far; a context manager. `ignored` operations do nothing."""

    def __init__(self, platform: Platform, ignored: Collection[Op] = ()) -> None:
        self._library = _load()
        self._platform = platform
        self._sim = self._library.pw_sim_new(hierarchy.config(platform, ignored))
        if not self._sim:
            raise CacheSimError(f"platform {platform.name}: no memory to simulate its caches")

    def __enter__(self) -> Native:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.pw_sim_free(self._sim)
        self._sim = None

    def run(self, records: bytes) -> None:
        """Take whole records of a stream, in order. Raise CacheSimError for a PE that is not there."""
        n, rest = divmod(len(records), ctypes.sizeof(Access))
        if rest:
            raise ValueError(f"{len(records)} bytes are no whole number of records")
        taken = self._library.pw_sim_run(self._sim, records, n)
        if taken < n:
            bad = Access.from_buffer_copy(records, taken * ctypes.sizeof(Access))
            raise CacheSimError(
                f"the stream has an access of PE {bad.pe}, but platform {self._platform.name} has "
                f"{self._platform.pes}: simulate a platform with as many PEs as the machine"
            )

    def counts(self) -> Counts:
        """Return a copy of what was counted."""
        return Counts.from_buffer_copy(self._library.pw_sim_counts(self._sim).contents)
