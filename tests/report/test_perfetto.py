"""Timelines for Perfetto: what the Trace Event Format asks for, by hand, of any report; what is drawn.

The format is Google's "Trace Event Format" document: Complete, Instant, Flow and Metadata Events.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import any_report
import pytest
import reports
from hypothesis import given, settings

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.report import perfetto
from pocwatch.sanitizer.findings import Report
from pocwatch.trace.records import Flag

XGENE = platforms.load("xgene-l3")
REQUIRED = {
    "X": {"name", "cat", "ts", "dur", "pid", "tid", "args"},
    "i": {"name", "cat", "ts", "pid", "tid", "s", "args"},
    "s": {"name", "cat", "ts", "pid", "tid", "id"},
    "f": {"name", "cat", "ts", "pid", "tid", "id", "bp"},
    "M": {"name", "pid", "tid", "args"},
}


def parsed(report: Report) -> dict[str, Any]:
    def refused(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = perfetto.render(report)
    text.encode("ascii")
    values: dict[str, Any] = json.loads(text, parse_constant=refused)
    return values


def ns(microseconds: float) -> int:
    """The nanosecond that Perfetto makes of a time: it cuts off the rest."""
    return int(microseconds * 1000)


def check(values: dict[str, Any]) -> None:
    """Assert that the format's rules hold."""
    assert values["displayTimeUnit"] == "ns"
    events = values["traceEvents"]
    named, used = set(), set()
    slices: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        assert event.keys() - {"ph"} == REQUIRED[event["ph"]]
        track = (event["pid"], event["tid"])
        if event["ph"] == "M":
            named.add((event["name"], *track))
            continue
        used.add(track)
        assert event["name"]
        assert event["ts"] >= 0
        if event["ph"] == "X":
            start, length = ns(event["ts"]), ns(event["dur"])
            assert length > 0
            slices[track].append((start, start + length))
    for pid, tid in used:
        assert {("process_name", pid, 0), ("thread_name", pid, tid)} <= named
    for each in slices.values():
        each.sort()
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(each))
    flows: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for event in events:
        if event["ph"] in "sf":
            assert event["ph"] not in flows[event["id"]]
            flows[event["id"]][event["ph"]] = event
            at, on = ns(event["ts"]), slices[event["pid"], event["tid"]]
            assert any(start <= at < end for start, end in on), "a flow that no slice holds"
    for flow in flows.values():
        assert flow.keys() == {"s", "f"}
        assert flow["f"]["bp"] == "e"
        assert ns(flow["s"]["ts"]) < ns(flow["f"]["ts"])


@pytest.mark.parametrize("key", ["ts", "name", "pid", "args"])
def test_the_check_can_say_no(key: str) -> None:
    values = parsed(reports.report(definition=XGENE))
    event = next(e for e in values["traceEvents"] if e["ph"] == "X")
    del event[key]
    with pytest.raises(AssertionError):
        check(values)


def test_the_check_wants_both_ends_of_a_flow() -> None:
    values = parsed(reports.report())
    values["traceEvents"] = [e for e in values["traceEvents"] if e["ph"] != "s"]
    with pytest.raises(AssertionError):
        check(values)


@settings(max_examples=40, deadline=None)
@given(any_report.REPORT)
def test_any_report_follows_the_format(report: Report) -> None:
    # Times are exact up to here; no machine executes more.
    found = [replace(f, instructions=f.instructions % 2**50) for f in report.findings]
    check(parsed(replace(report, findings=found)))


def tracks(values: dict[str, Any]) -> dict[tuple[int, int], str]:
    return {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in values["traceEvents"]
        if e["name"] == "thread_name"
    }


def drawn(values: dict[str, Any], *phases: str) -> list[tuple[str, str, int]]:
    """Track, name and instant of what is drawn."""
    names = tracks(values)
    return [
        (names[e["pid"], e["tid"]], e["name"], ns(e["ts"]))
        for e in values["traceEvents"]
        if e["ph"] in phases
    ]


def test_who_did_what_and_what_came_of_the_cell() -> None:
    values = parsed(reports.report(findings=reports.findings()[:1], definition=XGENE))
    check(values)
    stale = "1: memory and Point of Unification stale"
    cell = "0x4a000000 (line 0x4a000000)"
    assert drawn(values, "X") == [
        ("P0 host", "dc cvau", 123453),
        ("P0 host", "st wb", 123454),
        ("P0 host", "dc civac", 123455),
        ("P0 guest 1", "if nc", 123456),
        (cell, "0: coherent", 123453),
        (cell, stale, 123454),
        (cell, stale, 123455),
    ]
    assert drawn(values, "i") == [("P0 guest 1", "stale-fetch", 123456)]
    assert drawn(values, "s", "f") == [
        ("P0 host", "latest data", 123454),
        ("P0 guest 1", "latest data", 123456),
    ]


def test_what_is_said_of_a_finding_and_of_its_history() -> None:
    finding = reports.findings()[0]
    events = parsed(reports.report(findings=[finding], definition=XGENE))["traceEvents"]
    (instant,) = (e["args"] for e in events if e["ph"] == "i")
    assert instant["kind"] == "stale-fetch"
    assert instant["symbol"].startswith("primary_entry (0x")
    assert instant["repair"] == "; ".join(finding.repair) != ""
    assert instant["first seen at instruction"] == 123456
    history = [e["args"] for e in events if e.get("cat") == "history"]
    assert [(args["seq"], args["rule"]) for args in history] == [
        (2, ""),
        (5, ""),
        (7, reports.DROP),
    ]
    assert {args["time"] for args in history} == {perfetto.ORDER_ONLY}


def test_two_findings_of_a_line_share_their_history() -> None:
    found = reports.findings()
    values = parsed(
        reports.report(findings=[found[0], replace(found[0], count=1)], definition=XGENE)
    )
    check(values)
    host = [name for track, name, _ in drawn(values, "X") if track == "P0 host"]
    assert host == ["dc cvau", "st wb", "dc civac"]
    assert len(drawn(values, "s")) == 2
    assert sum(track.startswith("0x") for track in tracks(values).values()) == 1


def test_of_a_writer_is_drawn_what_history_says_of_it() -> None:
    # What the judge keeps of a writer is less than an event: of a guest, not its number.
    seen = replace(reports.findings()[0].history[-1], op=Op.ST, seq=9, flags=Flag.VM, vm_id=1)
    first = replace(reports.findings()[0], writer=replace(seen, vm_id=0))
    second = replace(first, history=(*first.history, seen))
    values = parsed(reports.report(findings=[first, second], definition=XGENE))
    check(values)
    assert [track for track, _, _ in drawn(values, "s")] == ["P0 guest 1"] * 2
    assert "P0 guest" not in tracks(values).values()


def test_without_the_platform_there_are_no_states() -> None:
    values = parsed(reports.report(definition=None))
    check(values)
    assert {e["pid"] for e in values["traceEvents"]} == {perfetto.AGENTS}


def test_nobody_wrote_it() -> None:
    finding = replace(reports.findings()[0], writer=None, history=(), maintenance=())
    values = parsed(reports.report(findings=[finding], definition=XGENE))
    check(values)
    assert drawn(values, "s", "f") == []
    assert [track for track, _, _ in drawn(values, "X")] == [
        "P0 guest 1",
        "0x4a000000 (line 0x4a000000)",
    ]


def test_names_that_are_no_text() -> None:
    finding = reports.findings()[0]
    odd = replace(finding, access=replace(finding.access, symbol='f\x00"\\</script>\ud800'))
    values = parsed(reports.report(findings=[odd], platform="\udfff", definition=XGENE))
    (instant,) = (e["args"] for e in values["traceEvents"] if e["ph"] == "i")
    assert instant["symbol"].startswith('f\x00"\\</script>? (0x')
    assert values["otherData"]["platform"] == "?"


def test_a_clean_run_is_a_timeline_too() -> None:
    values = parsed(reports.report(findings=[], complete=False, failure="killed"))
    check(values)
    assert values["otherData"]["failure"] == "killed"
    assert "1 ns is 1 instruction" in values["otherData"]["time"]
