"""Results of `pocwatch check` as text: a matrix per platform, or a line per cell if they are few."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocwatch.kvm.verdict import ASSUMPTIONS, Result, Word

FEW = 12
SYMBOLS = {
    Word.SAFE: ".",
    Word.UNSAFE: "X",
    Word.LEAK: "L",
    Word.UNKNOWN: "?",
    Word.NOT_APPLICABLE: "-",
}
_LEGEND = ". safe (proved)   X unsafe   L leak to another tenant   ? unknown   - not applicable"
_COLUMN = 3

Paint = Callable[[str, Word], str]
Hints = Callable[[Result], Sequence[str]]


def plain(text: str, word: Word) -> str:
    """Return the text as it is: no colour."""
    return text


def text(results: Sequence[Result], missing: int, hints: Hints, paint: Paint = plain) -> str:
    """Return the report. `missing` cells were not judged; `hints`: commands that tell more of a cell."""
    blocks = [_lines(results, hints, paint)] if len(results) <= FEW else _matrices(results, paint)
    return "\n".join([*blocks, _summary(results, missing)])


def _lines(results: Sequence[Result], hints: Hints, paint: Paint) -> str:
    told = []
    for result in results:
        where = f"{result.scenario} × {result.policy} on {result.platform}"
        word = paint(result.verdict.value, result.verdict)
        told.append(f"{where}: {word}{_details(result)}")
        if result.trace:
            told += [f"  {hint}" for hint in hints(result)]
    return "\n".join(told) + "\n"


def _details(result: Result) -> str:
    if result.verdict is Word.SAFE:
        return f", proved over {result.states:,} states ({result.seconds:.2f} s)"
    if result.verdict is Word.NOT_APPLICABLE:
        return f": {result.reason}"
    if result.verdict is Word.UNKNOWN:
        return f": {result.reason}, after {result.states:,} states"
    last = result.trace[-1]
    return f" after {len(result.trace)} steps: {last.agent} {last.event}, {last.read} ({last.why})"


def _matrices(results: Sequence[Result], paint: Paint) -> list[str]:
    """Return a matrix for each platform; platforms that differ in nothing share one."""
    by_platform: dict[str, list[Result]] = {}
    for result in results:
        by_platform.setdefault(result.platform, []).append(result)
    alike: dict[tuple[tuple[str, str, Word], ...], list[str]] = {}
    for platform, cells in by_platform.items():
        key = tuple((c.scenario, c.policy, c.verdict) for c in cells)
        alike.setdefault(key, []).append(platform)
    return [
        f"{', '.join(names)}\n\n{_matrix(by_platform[names[0]], paint)}{_reasons(by_platform, names)}"
        for names in alike.values()
    ]


def _matrix(cells: Sequence[Result], paint: Paint) -> str:
    scenarios = list(dict.fromkeys(c.scenario for c in cells))
    policies = list(dict.fromkeys(c.policy for c in cells))
    verdicts = {(c.scenario, c.policy): c.verdict for c in cells}
    margin = max(map(len, scenarios)) + 2
    rows = [
        " " * margin + "".join("|".ljust(_COLUMN) for _ in range(n)) + name
        for n, name in enumerate(policies)
    ]
    for scenario in scenarios:
        marks = []
        for policy in policies:
            word = verdicts.get((scenario, policy))
            mark = " " if word is None else paint(SYMBOLS[word], word)
            marks.append(mark + " " * (_COLUMN - 1))
        rows.append(scenario.ljust(margin) + "".join(marks).rstrip())
    return "\n".join(rows) + "\n"


def _reasons(by_platform: dict[str, list[Result]], names: Sequence[str]) -> str:
    """Return why policies do not apply: once for a policy, with the scenarios if not all of them."""
    told: dict[tuple[str, str], list[str]] = {}
    for cell in by_platform[names[0]]:
        if cell.verdict is Word.NOT_APPLICABLE:
            told.setdefault((cell.policy, cell.reason), []).append(cell.scenario)
    scenarios = len({cell.scenario for cell in by_platform[names[0]]})
    lines = []
    for (policy, reason), missed in told.items():
        which = "" if len(missed) == scenarios else f" ({', '.join(missed)})"
        lines.append(f"  - {policy}{which}: {reason}")
    return "\n".join(["", *lines, ""]) if lines else ""


def _summary(results: Sequence[Result], missing: int) -> str:
    counts = [(word, sum(r.verdict is word for r in results)) for word in Word]
    said = ", ".join(f"{n} {word.value}" for word, n in counts if n)
    total = f"{len(results)} cell{'s' * (len(results) != 1)}: {said}"
    if missing:
        total += f"; {missing} not judged"
    lines = [_LEGEND, ""] if len(results) > FEW else []
    lines.append(total)
    if any(result.verdict is Word.SAFE for result in results):
        lines.append("safe means proved, over every reachable state, assuming that")
        lines += [f"  - {assumption}" for assumption in ASSUMPTIONS]
    return "\n".join(lines) + "\n"
