"""Every case of the corpus is as it says: the bug reported with its kinds, the fix clean.

What a case must report is in its file, from the bug's own description and the Arm ARM's rules. A case
that says "not caught" must not be caught either: a model that has become better makes the table stale.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import case as cases
from corpus import judge
from corpus.case import Case, CaseError, Form, Verdict, all_cases
from corpus.run import as_claimed, chosen

CASES = all_cases()


def of_form(*forms: Form) -> list[object]:
    return [pytest.param(case, id=case.id) for case in CASES if case.form in forms]


@pytest.mark.parametrize("case", of_form(Form.WORD, Form.CHECK))
def test_words_and_checks(case: Case) -> None:
    buggy, fixed = judge.kinds(case, False), judge.kinds(case, True)
    assert as_claimed(case, buggy, fixed), (set(buggy), set(fixed))


@pytest.mark.machine
@pytest.mark.usefixtures("plugin_path")
@pytest.mark.parametrize("case", of_form(Form.PROGRAM))
def test_programs(case: Case, monkeypatch: pytest.MonkeyPatch, plugin_path: Path) -> None:
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    buggy, fixed = judge.kinds(case, False), judge.kinds(case, True)
    assert as_claimed(case, buggy, fixed), (set(buggy), set(fixed))


# Programs whose fix is not, or not only, maintenance that the bug lacks: what is reported without any.
WITHOUT_MAINTENANCE: dict[str, set[str]] = {
    "42": set(),  # reads earlier
    "45": set(),  # has none: the bug did
    "65": set(),  # has the right attributes
    "68": {"stale-read"},  # the stack is lost by the bug's own invalidate
    "75a": {"stale-fetch"},  # the bug lacks an ISB only
    "85b": {"stale-fetch"},  # the code is lost by the bug's own invalidate
}


@pytest.mark.machine
@pytest.mark.parametrize("case", of_form(Form.PROGRAM))
def test_a_fix_without_its_maintenance_is_the_bug(
    case: Case, monkeypatch: pytest.MonkeyPatch, plugin_path: Path
) -> None:
    """So the fixed programs are not clean because nothing is read there."""
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    wanted = WITHOUT_MAINTENANCE.get(case.id, case.kinds)
    assert judge.program_kinds(case, 1, drop=["*@*"]) == wanted


@pytest.mark.machine
def test_an_invalidate_alone_comes_too_late_for_dirty_lines(
    monkeypatch: pytest.MonkeyPatch, plugin_path: Path
) -> None:
    """Case 43, FIXED=2. Facts C3 (c): a dirty line may be evicted at any time, so before it, too."""
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    (case,) = chosen(["43"], drops=False)
    assert judge.program_kinds(case, 2) == {"lost-write"}


def test_nine_of_ten_in_scope_are_caught() -> None:
    """The corpus's goal, on claims that the tests above check."""
    inside = [case for case in CASES if case.verdict is not Verdict.OUTSIDE]
    caught = [case for case in inside if case.verdict is Verdict.CAUGHT]
    assert len(caught) >= 0.9 * len(inside)
    assert sum(case.form is Form.PROGRAM for case in caught) >= 15


def test_ids_are_unique_and_every_program_is_a_case_s() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.program for case in CASES if case.program} == {
        path.name for path in cases.PROGRAMS.iterdir()
    }


@pytest.mark.parametrize(
    ("buggy", "fixed", "right"),
    [
        ({"stale-fetch"}, set(), True),
        ({"stale-read"}, set(), False),
        ({"stale-fetch", "stale-read"}, set(), False),
        (set(), set(), False),
        ({"stale-fetch"}, {"stale-fetch"}, False),
    ],
)
def test_what_counts_as_caught(buggy: set[str], fixed: set[str], right: bool) -> None:
    (case,) = chosen(["24"], drops=False)
    assert case.kinds == {"stale-fetch"}
    assert as_claimed(case, frozenset(buggy), frozenset(fixed)) is right


GOOD = """
title = "t"
project = "p"
sources = ["r c"]
classes = "P"
known = "list"
essence = "e"
form = "word"
verdict = "caught"
kinds = ["stale-read"]
buggy = "P0 st wb; P1 ld nc"
fixed = "P0 st wb; P0 dc cvac; P0 dsb; P1 ld nc"
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('classes = "P"', 'classes = "Q"', "classes is 'Q': of P, S"),
        ('known = "list"', 'known = "hearsay"', "known is 'hearsay': accepted are commit"),
        ('form = "word"', 'form = "program"\nprogram = "no.S"', "program is 'no.S'"),
        ('form = "word"', 'form = "none"', "form none goes with no kinds"),
        ('verdict = "caught"', 'verdict = "perhaps"', "'perhaps' is not a valid Verdict"),
        ('verdict = "caught"', 'verdict = "not caught"', "why says what is not caught"),
        ("stale-read", "stale-bread", "kinds are .*stale-bread"),
        ("title", "tittle", "there is no key 'tittle'"),
        ('sources = ["r c"]', "", "sources"),
        ("[", "[[", "cannot be read"),
    ],
)
def test_malformed_cases(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "7-x.toml"
    path.write_text(GOOD)
    assert cases.load(path).id == "7"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CaseError, match=f"^7-x.toml: .*{says}"):
        cases.load(path)


def test_an_unknown_id() -> None:
    with pytest.raises(CaseError, match="there is no case 999: accepted are 01a, 01b, 02"):
        chosen(["999"], drops=False)


def test_a_program_that_does_not_assemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = chosen(["24"], drops=False)
    (tmp_path / case.program).write_text("no such instruction\n")
    monkeypatch.setattr(judge, "PROGRAMS", tmp_path)
    with pytest.raises(judge.BuildError, match=case.program):
        judge.build(case, 0, tmp_path)
