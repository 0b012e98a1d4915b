"""The text report: golden files beside this test; set POCWATCH_PROMOTE=1 to accept a new text."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import reports

from pocwatch.report import text, words
from pocwatch.sanitizer.findings import Device, Frame, Report, Suppressed

CASES = {
    "findings": reports.report(),
    "clean": reports.report(findings=[], dropped={}, redundant={}, suppressed=[], warnings=[]),
    "lost-write": reports.report(
        command=("pocwatch", "run", "--", "qemu-system-aarch64"),
        findings=[reports.lost_write()],
        dropped={reports.WEAKEN: 1},
        suppressed=[Suppressed("fixmap", 1, 1, "ftrace patches it")],
        warnings=[],
    ),
    "dma": reports.report(
        findings=reports.dma(),
        devices=[
            Device("virtio-blk at 0xa003e00", True, 12, 3456),
            Device("NVMe at PCI 00:01.0", False, 1, 0),
        ],
        suppressed=[],
        warnings=[],
    ),
    "partial": reports.report(complete=False, failure="QEMU was killed by SIGKILL", findings=[]),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    golden = Path(__file__).with_name(f"{name}.golden.txt")
    rendered = text.render(CASES[name])
    if os.environ.get("POCWATCH_PROMOTE"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


@pytest.mark.parametrize("report", CASES.values(), ids=CASES)
def test_lines_fit_a_terminal(report: Report) -> None:
    lines = text.render(report).splitlines()
    assert max(len(line) for line in lines if not line.startswith("Reproduce:")) <= 78


def test_long_names_are_not_broken() -> None:
    name = "__kvm_nvhe_a_function_with_a_name_that_nobody_would_want_to_type_twice+0x10"
    found = reports.findings()[0]
    assert found.writer is not None
    found = replace(
        found,
        access=replace(found.access, symbol=name),
        writer=replace(found.writer, symbol=name),
    )
    rendered = text.render(reports.report(findings=[found]))
    assert rendered.count(name) == 3
    assert f"\n    {name}\n    (0x80200000), instruction 0xd503201f\n" in rendered


def test_recursion_is_told_once() -> None:
    names = ["clean", "walk+0x4", "walk+0x8", "walk+0x8", "map+0x10", None, "walk"]
    stack = [Frame(0x10 * i, name) for i, name in enumerate(names)]
    assert words.callers(stack) == "walk (3×) < map < 0x50 < walk"


def test_the_order_is_that_of_kernel_sanitizers() -> None:
    rendered = text.render(reports.report(), max_findings=1)
    heads = ["pocwatch: 1: stale-fetch", "Access:", "Latest data written by:", "Maintenance of"]
    heads += ["Line at PA", "Rule:", "Repair:", "Reproduce:", "pocwatch: 2 findings"]
    places = [rendered.index(head) for head in heads]
    assert places == sorted(places)


def test_max_findings_hides_but_counts() -> None:
    rendered = text.render(reports.report(), max_findings=1)
    assert "stale-read" not in rendered
    assert "1 more cause not shown" in rendered
    assert "2 findings" in rendered


def test_the_caret_is_under_the_stale_cell() -> None:
    lines = text.render(reports.report()).splitlines()
    carets = [n for n, line in enumerate(lines) if set(line.strip()) == {"^"}]
    for number, cell in zip(carets, (0, 3), strict=True):
        at = lines[number].rindex("^")
        assert lines[number - 2][: at + 1].endswith(f"+{cell * 8:02x}")
