"""The same run gives the same bytes in every form: no times, no random names, no order of sets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import reports

from pocwatch.cli.report_options import FORMATS
from pocwatch.report import json

CODE = """
import sys
from pathlib import Path
from pocwatch.cli.report_options import FORMATS
from pocwatch.report import load
saved, out = map(Path, sys.argv[1:])
report = load.load(saved)
for form in FORMATS:
    form.write(report, out / form.name)
"""


def written(saved: Path, out: Path, seed: int) -> dict[str, str]:
    """Write every form in a process of its own, with its own order of sets and clock."""
    out.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "TZ": f"UTC{seed}"}
    subprocess.run([sys.executable, "-c", CODE, saved, out], check=True, env=environment)
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in out.iterdir()}


@pytest.mark.parametrize("findings", [[], [*reports.findings(), reports.lost_write()]])
def test_same_bytes(tmp_path: Path, findings: list[object]) -> None:
    json.write(reports.report(findings=findings), tmp_path / "r.json")
    one = written(tmp_path / "r.json", tmp_path / "one", 1)
    assert set(one) == {form.name for form in FORMATS}
    assert one == written(tmp_path / "r.json", tmp_path / "two", 2)
