"""Reports are what their JSON Schema says, and it says something of every key."""

from __future__ import annotations

import copy
import json as stdlib_json
from typing import Any

import any_report
import jsonschema
import pytest
import reports
from hypothesis import given, settings

from pocwatch.report import json, schemas
from pocwatch.sanitizer.findings import Report

SCHEMA = schemas.load("report")


def closed(schema: Any) -> Any:
    """The schema with no key allowed that it does not describe."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if isinstance(inner.get("properties"), dict) and set(inner["properties"]) != {"name"}:
        inner.setdefault("additionalProperties", False)
    return inner


STRICT = jsonschema.Draft202012Validator(closed(SCHEMA))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def plain(report: Report) -> Any:
    return stdlib_json.loads(json.render(report))


@settings(max_examples=60, deadline=None)
@given(any_report.REPORT)
def test_any_report_is_valid_and_every_key_described(report: Report) -> None:
    STRICT.validate(plain(report))


@pytest.mark.parametrize(
    "path", ["qemu", "findings/0/access/pc", "findings/0/line/states", "findings/0/history/0/seq"]
)
def test_a_report_without_a_promised_key_is_not_valid(path: str) -> None:
    data = copy.deepcopy(plain(reports.report()))
    place: Any = data
    *parents, last = path.split("/")
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    del place[last]
    with pytest.raises(jsonschema.ValidationError, match=f"'{last}' is a required property"):
        STRICT.validate(data)
