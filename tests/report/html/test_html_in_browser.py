"""The page in a browser: it asks nobody, complains of nothing, is walked by keys, read by anybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pocwatch.report import html, load
from pocwatch.sanitizer.findings import Frame, Report
from pocwatch.sanitizer.symbols.lines import SourceLine

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "dropped.json"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
EIGHTY_COLUMNS = 640  # pixels, in the page's monospaced font
ENOUGH = 4.5  # WCAG 2.2, 1.4.3, level AA

Look = Callable[..., Any]


@pytest.fixture(scope="module")
def report() -> Report:
    """The demonstration's report without the stage-2 clean; a finding of each kind."""
    return load.load(EXAMPLE)


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "dropped.html"
    html.write(report, path)
    return path


def test_it_asks_the_network_for_nothing_and_complains_of_nothing(look: Look, page: Path) -> None:
    seen = look(page)
    for row in seen.page.locator(".row").all():
        row.click()
    for by in ("agent", "kind", "cause", "site"):
        seen.page.click(f"[data-by={by}]")
    assert seen.page.locator("svg.timeline").count() == 3
    assert seen.page.locator("svg.automaton").count() == 3
    assert seen.requests == [page.as_uri()]
    assert seen.complaints == []


def test_the_policy_lets_nothing_in(look: Look, page: Path) -> None:
    """Even a script that got into the page could fetch nothing."""
    seen = look(page)
    failed = seen.page.evaluate("fetch('http://127.0.0.1:9/').then(() => false, () => true)")
    assert failed
    assert any("Content Security Policy" in line for line in seen.complaints)


def test_keys_walk_open_close_search(look: Look, page: Path) -> None:
    seen = look(page)
    press = seen.page.keyboard.press
    press("j")
    assert seen.current() == "finding-1"
    press("j")
    assert seen.current() == "finding-2"
    press("k")
    press("k")
    assert seen.current() == "finding-1"
    press("G")
    assert seen.current() == "finding-3"
    press("l")
    opened = seen.page.locator("#finding-3 .detail")
    assert opened.is_visible()
    assert seen.page.locator("#finding-3 .row").get_attribute("aria-expanded") == "true"
    press("h")
    assert not opened.is_visible()
    press("g")
    press("Enter")
    assert seen.page.locator("#finding-1 svg.timeline").is_visible()
    press("/")
    seen.page.keyboard.type("lost-write")
    assert seen.page.locator(".row").count() == 1
    press("Escape")
    press("j")
    assert seen.page.locator(".row:focus .kind").text_content() == "lost-write"
    press("?")
    assert seen.page.locator("#keys").is_visible()
    press("Escape")
    assert not seen.page.locator("#keys").is_visible()
    assert seen.complaints == []


def test_every_control_is_reached_by_tab(look: Look, page: Path) -> None:
    seen = look(page)
    reached = set()
    for _ in range(40):
        seen.page.keyboard.press("Tab")
        reached.add(
            seen.page.evaluate(
                "document.activeElement.id || document.activeElement.textContent.trim()"
            )
        )
    assert {"theme", "help", "search", "Copy", "code site", "cause"} <= reached
    assert seen.page.evaluate(
        "(document.querySelector('#search').focus(),"
        " getComputedStyle(document.querySelector('#search')).outlineStyle)"
    ) == "solid"


def test_t_changes_the_theme(look: Look, page: Path) -> None:
    seen = look(page, scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = seen.page.evaluate(ground)
    seen.page.keyboard.press("t")
    assert seen.page.evaluate(ground) == light  # light, said aloud
    seen.page.keyboard.press("t")
    dark = seen.page.evaluate(ground)
    assert dark != light
    assert look(page, scheme="dark").page.evaluate(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(look: Look, page: Path, scheme: str) -> None:
    seen = look(page, scheme=scheme)
    for row in seen.page.locator(".row").all():
        row.click()
    for summary in seen.page.locator("summary").all():
        summary.click()
    found = seen.page.evaluate(CONTRAST)
    assert len(found) > 200
    faint = [(text, round(ratio, 2)) for text, ratio in found if ratio < ENOUGH]
    assert faint == []


def test_eighty_columns_are_enough(look: Look, page: Path) -> None:
    """The page does not scroll sideways; texts of the timeline end before its bars begin."""
    seen = look(page, width=EIGHTY_COLUMNS, fragment="#finding-2")
    wide = seen.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= EIGHTY_COLUMNS
    assert seen.page.evaluate(
        """() => {
          const drawing = document.querySelector('svg.timeline');
          const bars = Math.min(...[...drawing.querySelectorAll('.held')]
            .map((bar) => bar.getBoundingClientRect().left));
          return [...drawing.querySelectorAll('text.operation, text.place, text.note, text.flag')]
            .filter((text) => text.getBoundingClientRect().right > bars)
            .map((text) => text.textContent);
        }"""
    ) == []


def test_the_drawing_says_what_happened(look: Look, page: Path) -> None:
    """Lanes, the dropped clean, the mark where it went wrong; the same in words for screen readers."""
    seen = look(page, fragment="#finding-2")
    drawing = seen.page.locator("#finding-2 svg.timeline")
    said = drawing.get_attribute("aria-label")
    assert "P0 dc civac" in said
    assert said.endswith("which goes wrong")
    assert drawing.locator("text.operation.dropped").text_content() == "dc civac"
    assert drawing.locator(".wrong-row").count() == 1
    assert {"P0", "L2", "mem"} <= set(drawing.locator("text.head").all_text_contents())
    walked = seen.page.locator("#finding-2 svg.automaton .edge.walked")
    assert walked.count() >= 1
    assert "dc civac, dropped" in " ".join(
        seen.page.locator("#finding-2 svg.automaton .edge-label").all_text_contents()
    )


def test_printing_opens_all(look: Look, page: Path) -> None:
    seen = look(page)
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.locator(".detail:visible").count() == 3
    assert not seen.page.locator(".tools").is_visible()
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.page.locator(".detail:visible").count() == 0


def test_names_are_text_whatever_they_hold(
    look: Look, report: Report, tmp_path: Path
) -> None:
    evil = "</script><img src=x onerror=\"document.title='owned'\"><!--\u2028\udc80"
    finding = report.findings[0]
    named = replace(finding, access=replace(finding.access, symbol=evil), rule=evil)
    path = tmp_path / "evil.html"
    html.write(replace(report, findings=[named], warnings=[evil], command=(evil,)), path)
    seen = look(path, fragment="#finding-1")
    assert seen.page.locator("img").count() == 0
    assert "owned" not in seen.page.title()
    assert "</script><img" in seen.page.locator("#finding-1 .verdict").text_content()
    assert seen.complaints == []
    assert seen.requests == [path.as_uri() + "#finding-1"] or seen.requests == [path.as_uri()]


def test_stacks_and_lines_of_source_are_shown(
    look: Look, report: Report, tmp_path: Path
) -> None:
    """Given an ELF file with DWARF: the lines around, the one concerned marked; and who called."""
    (tmp_path / "boot.c").write_text("int a;\nvoid boot(void)\n{\n\ta = 1;\n}\n")
    finding = report.findings[0]
    place = SourceLine("boot.c", 4, str(tmp_path))
    stack = (Frame(1, "boot+0x4", place), Frame(2, "start_kernel+0x10"), Frame(3, None))
    access = replace(finding.access, source=place, stack=stack)
    path = tmp_path / "source.html"
    html.write(replace(report, findings=[replace(finding, access=access)]), path)
    seen = look(path, fragment="#finding-1")
    assert seen.page.locator(".source figcaption").text_content() == "The access: boot.c:4"
    assert seen.page.locator(".source .this").text_content() == "▶    4  \ta = 1;"
    tops = "(spans) => spans.map((span) => span.getBoundingClientRect().top)"
    lines = seen.page.locator(".source pre span").evaluate_all(tops)
    assert len(set(lines)) == len(lines) == 5
    callers = seen.page.locator(".columns .callers li code").all_text_contents()
    assert callers == ["start_kernel+0x10 (0x2)", "0x3"]
    seen.page.fill("#search", "start_kernel")
    assert seen.page.locator(".row").count() == 1


def test_ten_thousand_findings_do_not_freeze_it(
    look: Look, report: Report, tmp_path: Path
) -> None:
    many = [
        replace(
            finding,
            access=replace(finding.access, symbol=f"function_{n}", pc=finding.access.pc + 4 * n),
        )
        for n in range(3334)
        for finding in report.findings
    ]
    path = tmp_path / "many.html"
    html.write(replace(report, findings=many), path)
    began = time.monotonic()
    seen = look(path)
    seen.page.wait_for_selector(".row")
    assert seen.page.locator(".finding").count() <= 200
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("function_3333")
    assert seen.page.locator(".row").count() == 3
    seen.page.keyboard.press("Escape")
    seen.page.fill("#search", "")
    seen.page.click("[data-by=kind]")
    seen.page.locator("#search").blur()
    seen.page.keyboard.press("G")
    assert seen.current() is not None
    assert time.monotonic() - began < 30
    assert seen.complaints == []


def test_a_clean_report_says_so(look: Look, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "clean.html"
    html.write(replace(report, findings=[]), path)
    seen = look(path)
    assert seen.page.locator("h1").text_content() == "pocwatch no findings"
    assert not seen.page.locator("#findings").is_visible()
    assert seen.page.locator(".clean").is_visible()


def test_without_scripts_the_text_report_is_there(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(page.as_uri())
    assert "Maintenance of this line" in opened.locator("noscript").inner_text()
    context.close()
