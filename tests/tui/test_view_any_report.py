"""Whatever a report holds can be looked at: no page fails, no row is wider than the screen."""

from __future__ import annotations

from dataclasses import replace

import any_report
from hypothesis import HealthCheck, Phase, given, settings
from viewers import PLATFORM

from pocwatch.line.table import automaton_of
from pocwatch.sanitizer.findings import Finding, Report
from pocwatch.tui.report_source import Findings


def possible(finding: Finding) -> Finding:
    """The finding with states that the platform has."""
    count = automaton_of(PLATFORM).states
    states = tuple(state % count for state in finding.line.states)
    return replace(finding, line=replace(finding.line, states=states))


# Without shrinking: a failure is as clear, and reports take long to shrink.
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(any_report.REPORT)
def test_every_page_of_any_report(given_report: Report) -> None:
    found = [possible(finding) for finding in given_report.findings]
    rows = Findings(replace(given_report, findings=found), PLATFORM)
    if len(rows):
        rows.toggle_all(0)
    assert len(rows) == len(found)
    assert rows.heading
    for width in (80, 160):
        for row in rows.window(0, len(rows), width):
            assert row.text.cell_len + len(row.marker) <= width
    for index in range(len(rows)):
        assert rows.page("preview", index)
        assert rows.page("repair", index)
        assert rows.findings(index)
        place = rows.place(index)
        assert place.file is not None or place.missing
        line = rows.below(index)
        assert line is not None
        assert len(line.window(0, len(line), 80)) == len(line) > 0
        for step in range(len(line)):
            for page in ("state", "rule", "preview", "repair"):
                assert line.page(page, step)
