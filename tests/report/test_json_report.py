"""The pinned keys of the JSON report, and that it is written whole or not at all."""

from __future__ import annotations

import errno
import json as stdlib_json
import os
from pathlib import Path
from typing import Any

import pytest
import reports

from pocwatch.report import json
from pocwatch.sanitizer.errors import MachineError, UsageError

# design.md, "JSON of `run` (pinned keys, more may be added)"
PINNED: dict[str, Any] = {
    "complete": bool,
    "platform": str,
    "qemu": str,
    "instructions": int,
    "accesses": int,
    "maintenance": dict,
    "dropped": dict,
    "findings": list,
    "suppressed": list,
    "warnings": list,
}
FINDING = {"kind", "count", "access", "writer", "maintenance", "line", "rule", "repair"}
ACCESS = {"pe", "el", "vm", "mmu", "pc", "symbol", "va", "ipa", "pa", "attributes"}
WRITER = {"agent", "pc", "symbol", "attributes"}
MAINTENANCE = {"op", "pc", "symbol", "why_not_enough"}


def data(**fields: object) -> dict[str, Any]:
    return stdlib_json.loads(stdlib_json.dumps(json.data(reports.report(**fields))))


def test_pinned_keys() -> None:
    found = data()
    for key, kind in PINNED.items():
        assert isinstance(found[key], kind), key
    for finding in found["findings"]:
        assert set(finding) >= FINDING
        assert set(finding["access"]) >= ACCESS
        assert set(finding["writer"]) >= WRITER
        for entry in finding["maintenance"]:
            assert set(entry) >= MAINTENANCE
        assert all(isinstance(line, str) for line in finding["repair"])


def test_values() -> None:
    found = data()
    fetch, read = found["findings"]
    assert (fetch["kind"], fetch["count"]) == ("stale-fetch", 3)
    access = read["access"]
    assert (access["vm"], access["mmu"], access["el"]) == (True, "off", 1)
    assert (access["pc"], access["symbol"]) == ("0x80200000", "primary_entry")
    assert (access["va"], access["pa"]) == ("0x80200018", "0x4a000018")
    assert access["attributes"].startswith("Device: stage 1 off")
    assert read["writer"]["symbol"] == "__arch_copy_to_user+0x180"
    assert read["writer"]["attributes"] == "Normal Write-Back"
    dropped = read["maintenance"][1]
    assert (dropped["op"], dropped["symbol"]) == ("dc civac", "dcache_clean_inval_poc+0x10")
    assert reports.DROP in dropped["why_not_enough"]
    assert found["dropped"] == {reports.DROP: 200}
    assert found["suppressed"][0]["rule"] == "fixmap"
    assert found["suppressed"][0]["count"] == 1


def test_write_replaces_at_once(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    json.write(reports.report(), target)
    assert stdlib_json.loads(target.read_text())["complete"] is True
    assert [f.name for f in tmp_path.iterdir()] == ["r.json"]


def test_full_disk_keeps_the_old_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "r.json"
    target.write_text("old")
    with pytest.raises(MachineError, match=r"could not be written \(No space left on device\)"):
        json.write(reports.report(), target)
    assert target.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["r.json"]


def test_unwritable_places_are_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        json.check_writable(tmp_path)
    with pytest.raises(UsageError, match="there is no directory"):
        json.check_writable(tmp_path / "none" / "r.json")
    json.check_writable(tmp_path / "r.json")
