"""The compiled simulator for this folder's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocwatch.cost.cachesim import CacheSimError, native


@pytest.fixture(scope="session", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """POCWATCH_CACHESIM, else what was built beside POCWATCH_PLUGIN, else the installed one."""
    plugin = os.environ.get("POCWATCH_PLUGIN")
    if plugin and "POCWATCH_CACHESIM" not in os.environ:
        built = Path(plugin).parents[1] / "cost" / "cachesim" / "pocwatch_cachesim.so"
        if built.is_file():
            os.environ["POCWATCH_CACHESIM"] = str(built)
    try:
        return native.library_path()
    except CacheSimError as error:
        pytest.fail(str(error), pytrace=False)
