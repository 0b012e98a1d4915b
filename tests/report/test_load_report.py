"""A report read again is the report that was written; what is wrong with a file is said in a line."""

from __future__ import annotations

import dataclasses
import json as stdlib_json
from pathlib import Path
from typing import Any

import any_report
import pytest
import reports
from hypothesis import given, settings

from pocwatch.report import json, load, text
from pocwatch.sanitizer import findings
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Report


@settings(max_examples=60, deadline=None)
@given(any_report.REPORT)
def test_exact_round_trip(report: Report) -> None:
    written = json.render(report)
    assert load.parse(written, "r.json") == report
    assert json.render(load.parse(written, "r.json")) == written


def test_no_field_of_a_record_is_forgotten() -> None:
    """The strategy behind the round trip fills every field, also those that have a default."""
    import inspect

    source = inspect.getsource(any_report)
    for record in (findings.Access, findings.Event, findings.Finding, findings.Report):
        for field in dataclasses.fields(record):
            assert f"{field.name}=" in source, f"{record.__name__}.{field.name}: add it there"


def test_the_text_of_a_loaded_report_is_that_of_the_run(tmp_path: Path) -> None:
    report = reports.report(findings=[*reports.findings(), reports.lost_write()])
    json.write(report, tmp_path / "r.json")
    assert text.render(load.load(tmp_path / "r.json")) == text.render(report)


def damaged(**changes: Any) -> str:
    data = json.data(reports.report())
    for path, value in changes.items():
        place: Any = data
        *parents, last = path.split("__")
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value
    return stdlib_json.dumps(data)


FIRST = "findings__0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "r.json: is not JSON"),
        ("[]", "names no schema"),
        ('{"findings": []}', "names no schema; this version of pocwatch reads 'pocwatch-report/1'"),
        ('{"schema": "pocwatch-report/9"}', "its schema is 'pocwatch-report/9'"),
        (damaged(qemu=KeyError), "r.json: qemu is missing; it must be a string"),
        (damaged(complete=1), "r.json: complete is 1; it must be true or false"),
        (damaged(accesses=True), "accesses is True; it must be a whole number"),
        (damaged(findings={}), "findings is {}; it must be an array"),
        (damaged(findings=[1]), "findings is [1]; it must be an array, each an object"),
        (damaged(warnings=[None]), "warnings is [None]; it must be an array, each a string"),
        (damaged(dropped={"x": "y"}), "it must be an object of whole numbers"),
        (damaged(**{f"{FIRST}__access__op": "jump"}), "findings[0].access.op is 'jump'; it must"),
        (damaged(**{f"{FIRST}__access__pc": "here"}), "access.pc is 'here'; it must be a number in"),
        (damaged(**{f"{FIRST}__access__flags": ["x"]}), "it must be words of vm, mmu_on, dropped"),
        (damaged(**{f"{FIRST}__line__stale_cell": 8}), "stale_cell is 8; it must be from 0 to 7"),
        (damaged(**{f"{FIRST}__writer__seq": None}), "findings[0].writer.seq is None; it must be"),
        (damaged(platform_definition={"name": "x"}), "platform 'x': pes is missing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load.parse(text, "r.json")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load.load(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        load.load(tmp_path / "binary")
