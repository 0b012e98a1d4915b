"""A minute of `make soak`: guests started and stopped, no finding, nobody ended badly.

Memory is judged in soaks that are long enough (docs/performance.md).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from pocwatch.demo.machine import Machine

pytestmark = [pytest.mark.machine, pytest.mark.usefixtures("plugin_path")]

_PATH = Path(__file__).parents[2] / "bench" / "soak.py"
_MINUTE = 60


@pytest.fixture(scope="module")
def soak() -> Any:
    spec = importlib.util.spec_from_file_location("soak", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_minute_of_guests(soak: Any, prepared: Machine) -> None:
    done = soak.run(prepared, _MINUTE)
    assert done.report.findings == []
    assert [said for said in done.complaints() if "memory grew" not in said] == []
    assert done.samples[-1].guests >= 2
