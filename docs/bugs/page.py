"""The generated parts of docs/corpus.md: what corpus/cases says, as Markdown.

Nothing is run here: a case states its verdict, and tests/corpus runs it.
"""

from __future__ import annotations

from collections import Counter

from corpus.case import CLASSES, KNOWN, Case, Form, Verdict, all_cases

_SHOWN_AS = {
    Form.WORD: "word: `pocwatch line`",
    Form.PROGRAM: "program: bare metal under `pocwatch run`",
    Form.CHECK: "check: a policy in a scenario of `pocwatch check`",
    Form.DROP: "drop: Linux and KVM under `pocwatch run --drop`",
}


def summary() -> str:
    """Return how many cases there are, and how many of those in scope are caught."""
    cases = all_cases()
    count = Counter(case.verdict for case in cases)
    caught = count[Verdict.CAUGHT]
    inside = len(cases) - count[Verdict.OUTSIDE]
    share = 100 * caught / inside
    return (
        f"{len(cases)} cases, {inside} in scope. Caught: {caught} ({share:.0f} % of those "
        f"in scope). Not caught: {count[Verdict.NOT_CAUGHT]}. Outside scope: {count[Verdict.OUTSIDE]}.\n"
    )


def forms() -> str:
    """Return how many cases are judged with what."""
    count = Counter(case.form for case in all_cases())
    rows = [["form", "cases"], ["---"] * 2]
    rows += [[text, str(count[form])] for form, text in _SHOWN_AS.items()]
    return _table(rows)


def classes() -> str:
    """Return what the class letters mean."""
    rows = [["letter", "class"], ["---"] * 2, *([k, v] for k, v in CLASSES.items())]
    return _table(rows)


def table() -> str:
    """Return one row for each case."""
    head = ["id", "project", "bug", "class", "form", "reported", "verdict"]
    rows = [head, ["---"] * len(head), *map(_row, all_cases())]
    return _table(rows)


def _row(case: Case) -> list[str]:
    kinds = ", ".join(f"`{kind}`" for kind in sorted(case.kinds)) or "–"
    verdict = case.verdict.value
    if case.why:
        verdict = f"**{verdict}**: {case.why}"
    form = case.form.value if case.form is not Form.NONE else "–"
    return [case.id, case.project, case.title, case.classes, form, kinds, verdict]


def stories() -> str:
    """Return what each bug was, and where that is known from."""
    return "\n".join(map(_story, all_cases()))


def _story(case: Case) -> str:
    sources = "; ".join(case.sources)
    note = f" {case.note}" if case.note else ""
    how = _how(case)
    return (
        f"- **{case.id}** {case.title}. {case.essence}{note}\n"
        f"  Source: {sources}. Known from {KNOWN[case.known]}.{how}\n"
    )


def _how(case: Case) -> str:
    if case.form is Form.WORD:
        return f"\n  On `{_named(case.platform)}`: bug `{case.buggy}`; fix `{case.fixed}`."
    if case.form is Form.PROGRAM:
        return f"\n  Program: [{case.program}](../corpus/programs/{case.program})."
    if case.form is Form.CHECK:
        scenario = case.scenario.rpartition(":")[2]
        fixed = case.fixed_scenario.rpartition(":")[2] or scenario
        return (
            f"\n  On `{case.platform}`: bug `{scenario}` × `{case.buggy}`; "
            f"fix `{fixed}` × `{case.fixed}`."
        )
    if case.form is Form.DROP:
        return f"\n  Rule: `--drop '{case.buggy}'`."
    return ""


def _named(platform: str) -> str:
    return f"corpus/{platform}" if platform.endswith(".toml") else platform


def _table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
