"""One bug of the corpus: what it was, how to run it, and what must be reported; read from TOML."""

from __future__ import annotations

import enum
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
CASES = FOLDER / "cases"
PROGRAMS = FOLDER / "programs"


class CaseError(ValueError):
    """A malformed case; the message names the file, the key, its value and what is accepted."""


class Form(enum.StrEnum):
    """What a case is judged with."""

    WORD = "word"  # `pocwatch line`
    PROGRAM = "program"  # a bare-metal program under `pocwatch run`
    CHECK = "check"  # a policy and a scenario of `pocwatch check`
    DROP = "drop"  # `pocwatch run --drop` on the demonstration's machine
    NONE = "none"  # nothing to run


class Verdict(enum.StrEnum):
    """What is claimed of a case, and tested."""

    CAUGHT = "caught"  # the bug is reported with the right kinds, and its fix is clean
    NOT_CAUGHT = "not caught"  # it should be, and is not
    OUTSIDE = "outside scope"


CLASSES = {
    "P": "clean to the PoC missing or insufficient",
    "S": "stale clean line: invalidate missing, early or late",
    "D": "dirty line overwrites newer memory",
    "I": "instruction side",
    "R": "range or address wrong",
    "W": "set/way",
    "B": "barrier or order",
    "M": "mismatched attributes",
    "X": "invalidate discards data",
    "-": "of another sort",
}
# How it is known what the bug was.
KNOWN = {
    "commit": "its commit message, or a mail or change log that has it",
    "issue": "its issue or pull request",
    "list": "one line in a survey of such bugs; the commit itself was not at hand",
}
KINDS = frozenset(
    {
        "stale-read", "stale-fetch", "stale-walk", "dma-stale-read", "lost-write", "leak",
        "unsynced-fetch",
    }
)  # fmt: skip
_TEXTS = {
    "title", "project", "classes", "known", "essence", "form", "verdict", "why", "platform",
    "buggy", "fixed", "scenario", "fixed_scenario", "program", "cpu", "note",
}  # fmt: skip
_OTHERS = {"sources", "kinds", "pes", "guest", "unsynced"}


@dataclass(frozen=True, slots=True)
class Case:
    """A bug.

    `sources`: "repository commit" each. `buggy` and `fixed` are words, policies, or rules of `--drop`
    (for a fixed one ""); a program has both in one file. `fixed_scenario`: if the fix changed what
    happens, not the policy. `kinds`: of what must be reported, by what the bug did and the
    architecture says, never by what the tool happened to answer.
    """

    id: str
    title: str
    project: str
    sources: tuple[str, ...]
    classes: str
    known: str
    essence: str
    form: Form
    verdict: Verdict
    why: str = ""
    note: str = ""
    kinds: frozenset[str] = frozenset()
    platform: str = "xgene-l3"
    buggy: str = ""
    fixed: str = ""
    scenario: str = ""
    fixed_scenario: str = ""
    program: str = ""
    cpu: str = "cortex-a57"
    pes: int = 1
    guest: bool = False
    unsynced: bool = False

    @property
    def platform_reference(self) -> str:
        """Return the platform as `--platform` takes it."""
        return str(FOLDER / self.platform) if self.platform.endswith(".toml") else self.platform


def load(path: Path) -> Case:
    """Read a case; its id is the file's name up to the first dash. Raises CaseError."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CaseError(f"{path.name}: cannot be read: {error}") from None
    for key in values:
        if key not in _TEXTS | _OTHERS:
            raise CaseError(
                f"{path.name}: there is no key {key!r}: it takes {', '.join(sorted(_TEXTS | _OTHERS))}"
            )
    try:
        case = Case(
            **{
                **{key: " ".join(v.split()) for key, v in values.items() if key in _TEXTS},
                **{key: values[key] for key in ("pes", "guest", "unsynced") if key in values},
                "id": path.stem.split("-")[0],
                "sources": tuple(values["sources"]),
                "kinds": frozenset(values.get("kinds", ())),
                "form": Form(values["form"]),
                "verdict": Verdict(values["verdict"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CaseError(f"{path.name}: {error}") from None
    _check(path.name, case)
    return case


def _check(name: str, case: Case) -> None:
    wrong = [letter for letter in case.classes if letter not in CLASSES]
    if wrong or not case.classes:
        raise CaseError(f"{name}: classes is {case.classes!r}: of {', '.join(CLASSES)}")
    if case.known not in KNOWN:
        raise CaseError(f"{name}: known is {case.known!r}: accepted are {', '.join(KNOWN)}")
    if not case.kinds <= KINDS:
        raise CaseError(f"{name}: kinds are {set(case.kinds)}: of {', '.join(sorted(KINDS))}")
    runs = case.form is not Form.NONE
    if runs is not bool(case.kinds) or (runs and case.verdict is Verdict.OUTSIDE):
        raise CaseError(f"{name}: form none goes with no kinds, and outside scope with form none")
    if case.verdict is Verdict.CAUGHT and not runs:
        raise CaseError(f"{name}: form is none: what is caught must have been run")
    if (case.verdict is Verdict.CAUGHT) == bool(case.why):
        raise CaseError(f"{name}: why says what is not caught or outside scope, and nothing else")
    if case.form is Form.PROGRAM and not (PROGRAMS / case.program).is_file():
        raise CaseError(f"{name}: program is {case.program!r}: there is no such file in programs/")


def _order(path: Path) -> tuple[int, str]:
    digits = "".join(c for c in path.stem.split("-")[0] if c.isdigit())
    return int(digits or "1000"), path.stem


def all_cases() -> list[Case]:
    """Return every case in the order of its number. Raises CaseError."""
    return [load(path) for path in sorted(CASES.glob("*.toml"), key=_order)]
