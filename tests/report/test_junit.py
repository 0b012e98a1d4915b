"""JUnit XML: valid by the schema that Jenkins' plugin publishes; what fails, passes and is skipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import any_report
import pytest
import reports
import xmlschema
from hypothesis import given, settings

from pocwatch.report import junit, text
from pocwatch.sanitizer.findings import Report, Suppressed

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parent / "schemas" / "junit-10.xsd"))
READ = reports.findings()[1]


def parsed(report: Report) -> ElementTree.Element:
    return ElementTree.fromstring(junit.render(report).encode())


def outcomes(report: Report) -> list[tuple[str, str, str]]:
    """Suite, case and outcome of each case."""
    return [
        (suite.attrib["name"], case.attrib["name"], case[0].tag if len(case) else "passed")
        for suite in parsed(report)
        for case in suite.iter("testcase")
    ]


def test_the_validator_can_say_no() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate("<testsuites><testsuite name='x'/></testsuites>")


@settings(max_examples=40, deadline=None)
@given(any_report.REPORT)
def test_any_report_is_valid(report: Report) -> None:
    SCHEMA.validate(parsed(report))


def test_a_failing_case_for_each_place() -> None:
    report = reports.report(findings=[*reports.findings(), READ])
    assert outcomes(report) == [
        ("run", "the machine ran to its end", "passed"),
        (
            "stale-fetch",
            "primary_entry in the guest, written by __arch_copy_to_user",
            "failure",
        ),
        ("stale-read", "primary_entry in the guest, written by __arch_copy_to_user", "failure"),
        ("stale-read", "primary_entry in the guest, written by __arch_copy_to_user #2", "failure"),
    ]
    root = parsed(report)
    assert {key: root.attrib[key] for key in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "3",
        "errors": "0",
    }
    failure = next(root.iter("failure"))
    assert failure.attrib["message"] == text.verdict(reports.findings()[0])
    assert "Repair: " in (failure.text or "")


def test_a_clean_run_passes() -> None:
    assert outcomes(reports.report(findings=[])) == [
        ("run", "the machine ran to its end", "passed"),
        ("run", "no findings", "passed"),
    ]


@pytest.mark.parametrize(
    ("failed", "outcome"), [(True, "error"), (False, "skipped")], ids=["failed", "interrupted"]
)
def test_nothing_passes_in_a_partial_run(failed: bool, outcome: str) -> None:
    report = reports.report(complete=False, failure="killed", machine_failed=failed, findings=[])
    assert outcomes(report) == [("run", "the machine ran to its end", outcome)]
    assert next(parsed(report).iter(outcome)).attrib["message"] == "killed"


def test_suppressed_findings_are_skipped_with_the_reason() -> None:
    report = reports.report(
        findings=[], suppressed=[Suppressed("mine", 1, 3, "it is\nharmless", (READ,))]
    )
    assert ("run", "no findings", "passed") in outcomes(report)
    skipped = next(parsed(report).iter("skipped"))
    assert (skipped.attrib["type"], skipped.attrib["message"]) == ("mine", "it is harmless")


def test_characters_that_xml_cannot_hold() -> None:
    odd = replace(READ, access=replace(READ.access, symbol="f\x00\x1b<&>\ud800+0x4"))
    ((_, _, _), (_, name, _)) = outcomes(reports.report(findings=[odd]))
    assert name.startswith("f\ufffd\ufffd<&>\ufffd in the guest")
