"""Fixtures that several folders of tests share."""

from __future__ import annotations

import ctypes
import importlib.resources
import os
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)


@pytest.fixture(scope="session")
def plugin_path() -> Path:
    """The built plugin: POCWATCH_PLUGIN, else the one of the installed package."""
    given = os.environ.get("POCWATCH_PLUGIN")
    installed = importlib.resources.files("pocwatch") / "plugin" / "pocwatch_plugin.so"
    path = Path(given) if given else Path(str(installed))
    if not path.is_file():
        pytest.fail(
            f"no plugin at {path}: install the package (pip install .), or build it with cmake and "
            "set POCWATCH_PLUGIN to the path of pocwatch_plugin.so",
            pytrace=False,
        )
    return path


@pytest.fixture(scope="session")
def plugin(plugin_path: Path) -> ctypes.CDLL:
    """The plugin loaded as a library, for its functions that need no QEMU."""
    return ctypes.CDLL(str(plugin_path))
