"""The pinned keys of the JSON report."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

import reports

from pocwatch.report import json

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
    assert fetch["access"]["stack"] == []
    assert [f["symbol"] for f in access["stack"]] == ["primary_entry", "primary_entry+0x24"]
    caller = {"pc": "0xffff800008039058", "symbol": "stage2_map+0x40", "source": None}
    assert dropped["stack"][1] == caller
    assert found["dropped"] == {reports.DROP: 200}
    assert found["suppressed"][0]["rule"] == "fixmap"
    assert found["suppressed"][0]["count"] == 1
