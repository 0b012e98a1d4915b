"""Every key of the viewer, and the mouse, on a made report."""

from __future__ import annotations

from pathlib import Path

import pytest
from pilot import drive, press, screen, shown
from textual.pilot import Pilot
from viewers import PLACES, free, of_report, report

from pocwatch.sanitizer import suppressions
from pocwatch.sanitizer.suppressions.apply import apply
from pocwatch.tui import keys
from pocwatch.tui.listing import Listing
from pocwatch.tui.paper import Paper

MARKER_X = 77  # in a row of 80 columns


def path(lines: list[str]) -> str:
    """Where the bar at the bottom says that one is."""
    return lines[-2].removesuffix("report.json").strip()


def listed(lines: list[str]) -> list[str]:
    """The first words of the rows above the page."""
    end = next(n for n, line in enumerate(lines) if line.startswith("── "))
    return [line.split()[0] for line in lines[1:end] if line.strip()]


@pytest.mark.parametrize(
    ("pressed", "where"),
    [
        ("", "finding 1/12"),
        ("j", "finding 11/12"),
        ("down", "finding 11/12"),
        ("j j", "finding 12/12"),
        ("j j j", "finding 12/12"),
        ("j k", "finding 1/12"),
        ("k", "finding 1/12"),
        ("up", "finding 1/12"),
        ("G", "finding 12/12"),
        ("end", "finding 12/12"),
        ("G g", "finding 1/12"),
        ("G home", "finding 1/12"),
        ("j l", "finding 11/12 › event 1/4"),
        ("j enter", "finding 11/12 › event 1/4"),
        ("j right j", "finding 11/12 › event 2/4"),
        ("j l l", "finding 11/12 › event 1/4 › state"),
        ("j l l j", "finding 11/12 › event 2/4 › state"),
        ("j l l G", "finding 11/12 › event 4/4 › state"),
        ("j l l l", "finding 11/12 › event 1/4 › state › rule"),
        ("j l l l l", "finding 11/12 › event 1/4 › state › rule"),
        ("j l l l h", "finding 11/12 › event 1/4 › state"),
        ("j l l l h h left", "finding 11/12"),
        ("j l j l backspace h", "finding 11/12"),
        ("h", "finding 1/12"),
        ("r", "finding 1/12 › repair"),
        ("r r", "finding 1/12"),
        ("r escape", "finding 1/12"),
        ("l r h", "finding 1/12 › event 1/4"),
        ("question_mark", "finding 1/12 › help"),
        ("question_mark escape", "finding 1/12"),
        ("question_mark h", "finding 1/12"),
        ("question_mark question_mark", "finding 1/12"),
        ("colon 1 1 enter", "finding 11/12"),
        ("colon 5 enter", "finding 5/12"),
        ("space", "finding 12/12"),
        ("pagedown pageup", "finding 1/12"),
        ("z space b", "finding 1/12"),
    ],
)
def test_where_keys_lead(pressed: str, where: str) -> None:
    assert path(shown(of_report(), pressed)) == where


@pytest.mark.parametrize(
    ("pressed", "rows"),
    [
        ("", ["1", "11", "12"]),
        ("z", [*map(str, range(1, 11)), "11"]),
        ("z z", ["1", "11", "12"]),
        ("z j j escape", ["1", "11", "12"]),
        ("z j j h", ["1", "11", "12"]),
        ("Z Z", ["1", "11", "12"]),
        ("j z", ["1", "11", "12"]),
    ],
)
def test_findings_of_one_cause_are_folded(pressed: str, rows: list[str]) -> None:
    assert listed(shown(of_report(), pressed)) == rows


def test_a_closed_fold_leaves_the_cursor_on_its_first_row() -> None:
    assert path(shown(of_report(), "z j j j escape")) == "finding 1/12"


def test_help_lists_every_key_of_the_table() -> None:
    lines = shown(of_report(), "question_mark", size=(80, 40))
    for key in keys.KEYS:
        assert any(key.text in line and keys.shown(key.keys[0]) in line for line in lines), key


def test_every_key_of_the_table_has_its_action() -> None:
    viewer = of_report()
    for key in keys.KEYS:
        assert callable(getattr(viewer, f"action_{key.action}")), key


def test_the_cursor_is_told_without_colours() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "j")
        strip = viewer.query_one(Listing).render_line(1)
        assert all(segment.style and segment.style.reverse for segment in strip if segment.text)

    drive(viewer, script)


def test_the_hints_fit_the_narrowest_screen() -> None:
    assert len(keys.hints()) <= 80


# Search


@pytest.mark.parametrize(
    ("pressed", "where", "said"),
    [
        ("slash p l a c e _ 7 enter", "finding 8/12", "'place_7'"),
        ("slash P L A C E _ 7 enter", "finding 8/12", "'PLACE_7'"),
        ("slash l o s t enter", "finding 12/12", "'lost'"),
        ("G slash p l a c e _ 7 enter", "finding 8/12", "'place_7', around the end"),
        ("slash p l a c e _ enter n n", "finding 4/12", "'place_'"),
        ("slash p l a c e _ enter n n N", "finding 3/12", "'place_'"),
        ("slash n o w h e r e enter", "finding 1/12", "'nowhere' is not found"),
        ("n", "finding 1/12", "nothing was searched yet: / asks for what"),
        ("l slash c i v a c enter", "finding 1/12 › event 3/4", "'civac'"),
    ],
)
def test_search(pressed: str, where: str, said: str) -> None:
    async def script(pilot: Pilot[None]) -> None:
        for key in pressed.split():
            await pilot.press(key)
            await viewer.workers.wait_for_complete()
        await pilot.pause()
        lines = screen(viewer)
        assert (path(lines), lines[-1]) == (where, said)

    viewer = of_report()
    drive(viewer, script)


def test_escape_leaves_the_question() -> None:
    lines = shown(of_report(), "slash p l a c e escape j")
    assert path(lines) == "finding 11/12"


def test_keys_typed_into_a_question_are_text() -> None:
    lines = shown(of_report(), "slash j q g question_mark")
    assert lines[-1] == "/jqg?"


# Preview and pages


def test_the_preview_can_be_hidden() -> None:
    assert any(line.startswith("── ") for line in shown(of_report()))
    assert not any(line.startswith("── ") for line in shown(of_report(), "p"))


def test_a_page_scrolls() -> None:
    before = shown(of_report(), "G l l")
    after = shown(of_report(), "G l l l space b")
    assert before[-2] != after[-2]
    scrolled = shown(of_report(), "question_mark space")
    assert keys.MOUSE[-1][1] in "\n".join(scrolled)


def test_wide_screens_have_the_page_beside_the_list() -> None:
    lines = shown(of_report(), size=(160, 30))
    assert "stale-fetch" in lines[1]
    assert "── finding 1/12" in lines[1]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 10), (10, 4), (1, 1)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    lines = shown(of_report(), "z j j l l l r question_mark escape escape h", size)
    assert len(lines) == size[1]
    assert all(len(line) <= size[0] for line in lines)


# Repair, source line


def test_the_repair_names_both_places_and_what_was_not_enough() -> None:
    text = "\n".join(shown(of_report(), "r", size=(100, 40)))
    assert "dc civac before the if nc" in text  # the repair of the made report
    assert "__arch_copy_to_user+0x180" in text
    assert "came before the write" in text


def test_without_dwarf_the_missing_file_is_named() -> None:
    said = shown(of_report(), "o")[-1]
    assert said == "no source line for primary_entry: `run --symbols` had no DWARF for it"


# Suppressions


def suppressed_by(file: Path) -> set[str]:
    """The functions that have a finding which the file takes out."""
    left = apply(report(), suppressions.load(file)).findings
    return {str(each.access.symbol) for each in report().findings if each not in left}


def test_s_appends_an_entry_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    lines = shown(of_report(suppression_file=file), "j s h e a d e r enter")
    (entry,) = suppressions.load(file)
    assert entry.reason == "header"
    left = apply(report(), [entry]).findings
    assert [f.kind for f in report().findings if f not in left] == ["stale-read"]
    assert lines[-1].startswith("1 entry appended to")
    assert lines[2].split()[:2] == ["11", "S"]  # and the row says so


def test_s_on_a_closed_fold_takes_all_of_the_cause(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    shown(of_report(suppression_file=file), "s x enter")
    assert len(suppressions.load(file)) == 1 + PLACES
    assert {"primary_entry", "place_1+0x4", f"place_{PLACES}+0x4"} <= suppressed_by(file)


def test_s_in_an_open_fold_takes_one(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    shown(of_report(suppression_file=file), "z j s x enter")
    assert suppressed_by(file) == {"place_1+0x4"}


def test_s_twice_writes_once(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    lines = shown(of_report(suppression_file=file), "j s x enter s y enter", size=(200, 24))
    assert len(suppressions.load(file)) == 1
    assert "has it already" in lines[-1]


def test_what_the_file_held_stays(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    before = '# by hand\n[[suppress]]\nname = "a"\nreason = "b"\nkind = "leak"'  # no end of line
    file.write_text(before)
    shown(of_report(suppression_file=file), "j s x enter")
    assert file.read_text().startswith(before)
    assert [entry.reason for entry in suppressions.load(file)] == ["b", "x"]


@pytest.mark.parametrize(
    ("pressed", "said"),
    [
        ("j s enter", "nothing written: an accepted finding needs a reason"),
        ("j s space space enter", "nothing written: an accepted finding needs a reason"),
        ("j s x escape", ""),
    ],
)
def test_without_a_reason_nothing_is_written(pressed: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    lines = shown(of_report(suppression_file=file), pressed)
    assert not file.exists()
    assert lines[-1] == (said or keys.hints())


def test_what_a_rule_provoked_is_not_suppressed(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    lines = shown(of_report(report(provoked=True), suppression_file=file), "j s")
    assert lines[-1].startswith("not suppressed: a --drop or --weaken rule provoked it")
    assert not file.exists()


@pytest.mark.parametrize("content", ["not toml [", "[[suppress]]\nname = 1\n", "\udcff"])
def test_a_file_that_run_refuses_stays_as_it_is(content: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = file.read_bytes()
    lines = shown(of_report(suppression_file=file), "j s x enter", size=(200, 24))
    assert lines[-1].startswith("nothing written: ")
    assert file.read_bytes() == before


def test_a_folder_in_the_files_place_is_one_line(tmp_path: Path) -> None:
    lines = shown(of_report(suppression_file=tmp_path), "j s x enter", size=(200, 24))
    assert lines[-1].startswith("nothing written: ")


# Mouse


async def click(pilot: Pilot[None], what: type, x: int, y: int) -> None:
    await pilot.click(what, offset=(x, y))
    await pilot.pause()


def test_a_click_selects_and_a_second_one_goes_in() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await click(pilot, Listing, 20, 1)
        assert path(screen(viewer)) == "finding 11/12"
        await click(pilot, Listing, 20, 1)
        assert path(screen(viewer)) == "finding 11/12 › event 1/4"

    drive(viewer, script)


def test_a_click_on_the_marker_folds() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await click(pilot, Listing, MARKER_X, 0)
        assert len(listed(screen(viewer))) > 3
        await click(pilot, Listing, MARKER_X, 0)
        assert len(listed(screen(viewer))) == 3

    drive(viewer, script)


def test_a_click_on_the_preview_goes_in() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await click(pilot, Paper, 5, 3)
        assert path(screen(viewer)) == "finding 1/12 › event 1/4"

    drive(viewer, script)


def test_a_click_below_the_last_row_does_nothing() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "p")
        await click(pilot, Listing, 5, 12)
        assert path(screen(viewer)) == "finding 1/12"

    drive(viewer, script)


def test_the_wheel_scrolls_what_is_under_it() -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "z")
        first = screen(viewer)[1]
        await pilot._post_mouse_events([_wheel()], Listing)
        await pilot.pause()
        assert screen(viewer)[1] != first
        top = viewer.query_one(Paper).top
        await pilot._post_mouse_events([_wheel()], Paper)
        await pilot.pause()
        assert viewer.query_one(Paper).top > top

    drive(viewer, script, size=(80, 20))


def _wheel() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown


# The end


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_quit(key: str) -> None:
    viewer = of_report()

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "j l l")
        await pilot.press(key)

    drive(viewer, script)
    assert viewer.return_code == 0


def test_no_findings_are_no_trouble() -> None:
    import reports

    viewer = of_report(reports.report(findings=[]))
    pressed = (
        "j k g G l h z Z t o r s p p n space b question_mark escape slash x enter colon 3 enter"
    )
    lines = shown(viewer, pressed)
    assert lines[0].startswith(" no findings, platform fake-l3")
    assert path(lines) == "no findings"


def test_free_findings_are_not_provoked() -> None:
    """What the suppressions above rest on."""
    assert apply(report(), []).findings == list(report().findings)
    assert free(report().findings[0]) == report().findings[0]
