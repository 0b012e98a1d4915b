"""The fake QEMU, ready to run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pocwatch.trace.records import Finding

FakeQemu = Callable[..., Path]


@pytest.fixture
def fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    """Return a function that writes the script of a fake QEMU and returns the program."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(name: str = "qemu-system-aarch64", raw: Sequence[Finding] = (), **script: Any) -> Path:
        program = folder / name
        fake = Path(__file__).with_name("fake_qemu.py")
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
        program.chmod(0o755)
        if raw:
            (tmp_path / "findings").write_bytes(b"".join(bytes(f) for f in raw))
            script["findings"] = str(tmp_path / "findings")
        (tmp_path / "script.json").write_text(json.dumps(script))
        monkeypatch.setenv("FAKE_QEMU", str(tmp_path / "script.json"))
        source = str(Path(__file__).parents[1] / "src")
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
        )
        plugin = tmp_path / "plugin.so"
        plugin.touch()
        monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin))
        return program

    return make
