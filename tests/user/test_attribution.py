"""Whose a finding is, for any report."""

from __future__ import annotations

from dataclasses import replace

import any_report
from hypothesis import given

from pocwatch.sanitizer.findings import Finding, Report
from pocwatch.trace.records import Flag
from pocwatch.user import attribution


@given(any_report.FINDING)
def test_the_program_s_code_and_data_are_the_program_s(finding: Finding) -> None:
    kernel = replace(
        finding,
        access=replace(finding.access, el=1, va=1 << 63, flags=Flag.MMU_ON),
        writer=None,
    )
    assert not attribution.of_program(kernel)
    at_el0 = replace(kernel, access=replace(kernel.access, el=0))
    assert attribution.of_program(at_el0)
    copied = replace(kernel, access=replace(kernel.access, va=0x7000_0000))
    assert attribution.of_program(copied)  # at a user address, on the program's behalf
    if finding.writer is not None:
        written = replace(kernel, writer=replace(finding.writer, el=0))
        assert attribution.of_program(written)
        assert not attribution.of_program(replace(kernel, writer=replace(finding.writer, el=1)))


@given(any_report.REPORT)
def test_none_is_lost(report: Report) -> None:
    split = attribution.without_kernel(report)
    counted = split.suppressed[len(report.suppressed) :]
    others = [finding for each in counted for finding in each.findings]
    assert len(split.findings) + len(others) == len(report.findings)
    assert all(map(attribution.of_program, split.findings))
    assert not any(map(attribution.of_program, others))
    assert sum(each.occurrences for each in counted) == sum(f.count for f in others)
