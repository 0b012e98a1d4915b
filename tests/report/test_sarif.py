"""SARIF: valid by the OASIS schema, what viewers and GitHub need, the same from run to run."""

from __future__ import annotations

import json as stdlib_json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import any_report
import jsonschema
import pytest
import reports
from hypothesis import given, settings

from pocwatch.report import kinds, sarif
from pocwatch.sanitizer.findings import Frame, Known, Report, Suppressed
from pocwatch.sanitizer.runfile import MAX_FINDINGS
from pocwatch.sanitizer.symbols.lines import SourceLine
from pocwatch.trace.records import FindingKind

SCHEMA = stdlib_json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GITHUB_RESULTS = 25_000
READ = reports.findings()[1]
FROM_C = replace(
    READ,
    access=replace(READ.access, source=SourceLine("arch/arm64/kernel/head S.S", 89)),
    writer=replace(READ.writer, source=SourceLine("/usr/src/lib/copy.S", 7)),  # type: ignore[type-var]
)


def run_of(report: Report) -> dict[str, Any]:
    return stdlib_json.loads(sarif.render(report))["runs"][0]


def test_the_validator_can_say_no() -> None:
    log = stdlib_json.loads(sarif.render(reports.report()))
    del log["runs"][0]["results"][0]["message"]
    with pytest.raises(jsonschema.ValidationError, match="'message' is a required property"):
        VALIDATOR.validate(log)


@settings(max_examples=40, deadline=None)
@given(any_report.REPORT)
def test_any_report_is_valid(report: Report) -> None:
    VALIDATOR.validate(stdlib_json.loads(sarif.render(report)))


def test_every_kind_of_finding_is_a_rule_with_help() -> None:
    rules = run_of(reports.report(findings=[]))["tool"]["driver"]["rules"]
    known = {kind.name.lower().replace("_", "-") for kind in FindingKind}
    assert {rule["id"] for rule in rules} == known == set(kinds.BY_NAME)
    for rule in rules:
        assert rule["help"]["text"].startswith("Rule: ")
        assert "Repair: " in rule["help"]["text"]
        assert len(rule["properties"]["tags"]) <= 10
    levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in rules}
    assert (levels["leak"], levels["unsynced-fetch"]) == ("error", "warning")


def test_a_result_says_what_where_by_whom_and_what_helps() -> None:
    run = run_of(reports.report())
    _, read = run["results"]
    assert (read["ruleId"], read["level"], read["occurrenceCount"]) == ("stale-read", "error", 3)
    assert run["tool"]["driver"]["rules"][read["ruleIndex"]]["id"] == "stale-read"
    for part in ("primary_entry", "__arch_copy_to_user+0x180", "dcache_clean_inval_poc", "Repair:"):
        assert part in read["message"]["text"]
    (place,) = read["locations"]
    (logical,) = place["logicalLocations"]
    assert logical["fullyQualifiedName"] == "guest!primary_entry"
    writer, maintenance = read["relatedLocations"]
    assert writer["logicalLocations"][0]["name"] == "__arch_copy_to_user"
    assert maintenance["message"]["text"].startswith("dc civac: dropped by rule")


def test_places_are_lines_of_source_where_they_are_known() -> None:
    result = run_of(reports.report(findings=[FROM_C]))["results"][0]
    physical = result["locations"][0]["physicalLocation"]
    assert physical == {
        "artifactLocation": {"uri": "arch/arm64/kernel/head%20S.S", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 89},
    }
    writer = result["relatedLocations"][0]["physicalLocation"]
    assert writer["artifactLocation"] == {"uri": "file:///usr/src/lib/copy.S"}


def test_without_source_a_place_is_in_the_program_that_ran() -> None:
    command = ("pocwatch", "run", "--", "qemu-system-aarch64", "-kernel", "/boot/my Image")
    result = run_of(reports.report(command=command))["results"][0]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "my%20Image", "no path of the computer"
    assert physical["region"] == {"startLine": 1}, "GitHub wants a line"
    assert physical["address"]["fullyQualifiedName"] == "primary_entry"


def test_the_history_is_a_code_flow_that_ends_with_the_access() -> None:
    result = run_of(reports.report())["results"][1]
    (flow,) = result["codeFlows"]
    (thread,) = flow["threadFlows"]
    said = [step["location"]["message"]["text"] for step in thread["locations"]]
    assert said[0].startswith("dc cvau by P0: came before the write")
    assert said[1] == "write by P0, of the latest data."
    assert said[2].startswith("dc civac by P0: dropped by rule")
    assert said[3] == "read by P0: may be stale."
    assert [step["executionOrder"] for step in thread["locations"]] == [1, 2, 3, 4]


def test_call_stacks_are_those_of_the_access_and_of_the_lost_maintenance() -> None:
    frames = tuple(Frame(0x1000 + n, f"caller{n}+0x4") for n in range(3))
    before, dropped = READ.maintenance
    found = replace(
        READ,
        access=replace(READ.access, stack=frames[:2]),
        maintenance=(before, replace(dropped, event=replace(dropped.event, stack=frames))),
    )
    stacks = run_of(reports.report(findings=[found]))["results"][0]["stacks"]
    names = [
        [f["location"]["logicalLocations"][0]["fullyQualifiedName"] for f in stack["frames"]]
        for stack in stacks
    ]
    assert names == [
        ["guest!caller0+0x4", "guest!caller1+0x4"],
        ["host!caller0+0x4", "host!caller1+0x4", "host!caller2+0x4"],
    ]
    bare = replace(READ, access=replace(READ.access, stack=()), maintenance=())
    assert run_of(reports.report(findings=[bare]))["results"][0]["stacks"] == []


def test_fingerprints_are_the_same_when_code_moves() -> None:
    moved = replace(READ, access=replace(READ.access, pc=0x9020_0000, pa=0x5000_0018))
    one, other = (run_of(reports.report(findings=[f]))["results"][0] for f in (READ, moved))
    assert one["partialFingerprints"] == other["partialFingerprints"]
    assert re.fullmatch(r"[0-9a-f]+:1", one["partialFingerprints"]["primaryLocationLineHash"])
    twice = run_of(reports.report(findings=[READ, moved]))["results"]
    hashes = [r["partialFingerprints"]["primaryLocationLineHash"] for r in twice]
    assert len(set(hashes)) == 2, "GitHub would take them for one alert"


def test_suppressed_findings_are_there_as_such() -> None:
    taken = Suppressed("mine", 1, 3, "harmless", (READ,))
    run = run_of(reports.report(findings=[], suppressed=[taken]))
    (result,) = run["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "mine: harmless"}]
    assert run["invocations"][0]["exitCode"] == 0


def test_new_against_a_baseline() -> None:
    run = run_of(reports.report(known=Known("old.json", 3, 9)))
    assert {result["baselineState"] for result in run["results"]} == {"new"}


@pytest.mark.parametrize(
    ("fields", "code", "successful"),
    [
        ({}, 1, True),
        ({"findings": []}, 0, True),
        ({"complete": False, "failure": "killed", "machine_failed": True}, 3, False),
    ],
)
def test_invocation(fields: dict[str, Any], code: int, successful: bool) -> None:
    (invocation,) = run_of(reports.report(**fields))["invocations"]
    assert (invocation["exitCode"], invocation["executionSuccessful"]) == (code, successful)
    assert invocation["commandLine"].startswith("pocwatch run --drop")
    said = [(n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
    assert ("warning", "something to know.") in said
    assert (("error", "killed.") in said) is (code == 3)


def test_no_run_has_more_results_than_github_takes() -> None:
    assert MAX_FINDINGS <= GITHUB_RESULTS
