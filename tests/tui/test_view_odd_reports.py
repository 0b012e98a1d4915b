"""Reports with contents that no run writes: neither the terminal nor the viewer suffers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pilot import shown
from viewers import PLATFORM, of_report, report

from pocwatch.tui.report_source import Findings
from pocwatch.tui.source import SourceError


def test_what_a_terminal_would_act_on_is_not_drawn() -> None:
    first = report().findings[0]
    evil = replace(first, access=replace(first.access, symbol="f\x1b[2Jg\nh"))
    for keys in ("", "l", "l l", "r"):
        lines = shown(of_report(replace(report(), findings=[evil])), keys)
        assert all(line.isprintable() for line in lines if line)
    assert any(
        "f?[2Jg?h" in line for line in lines + shown(of_report(replace(report(), findings=[evil])))
    )


def test_states_of_another_platform_are_one_line() -> None:
    first = report().findings[0]
    other = replace(first, line=replace(first.line, states=(200,) * 8))
    lines = shown(of_report(replace(report(), findings=[other])), "l")
    assert lines[-1].startswith("the report's states are not those of xgene-l3")
    with pytest.raises(SourceError):
        Findings(replace(report(), findings=[other]), PLATFORM).below(0)
