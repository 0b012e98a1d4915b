"""The JSON Schemas of what pocwatch writes, as shipped in schema/."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

NAMES = ("report",)


def load(name: str) -> dict[str, Any]:
    """Return a schema by the name of its form: `report` for `--json`."""
    file = resources.files("pocwatch.report") / "schema" / f"{name}-1.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(schema, dict)
    return schema
