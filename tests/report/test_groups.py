"""One cause, one entry."""

from __future__ import annotations

from dataclasses import replace

import reports

from pocwatch.report import text
from pocwatch.report.groups import group


def test_places_of_one_cause_are_together() -> None:
    fetch, read = reports.findings()
    other = replace(fetch, count=4, access=replace(fetch.access, pc=0x8020_0040, symbol="next"))
    groups = group([fetch, read, other])
    assert [len(g.findings) for g in groups] == [2, 1]
    assert groups[0].count == 7
    rendered = text.render(reports.report(findings=[fetch, read, other]))
    assert "Same cause at 1 more place, 4 times: next" in rendered
    assert "3 findings of 2 causes" in rendered


def test_other_worlds_other_writers_and_unknown_causes_are_apart() -> None:
    fetch, _ = reports.findings()
    host = replace(
        fetch, access=replace(fetch.access, flags=fetch.access.flags ^ fetch.access.flags)
    )
    assert fetch.writer is not None
    writer = replace(fetch, writer=replace(fetch.writer, symbol="memcpy"))
    assert len(group([fetch, host, writer])) == 3
    bare = replace(fetch, writer=None, maintenance=())
    elsewhere = replace(bare, access=replace(fetch.access, symbol="other"))
    assert len(group([bare, elsewhere])) == 2
