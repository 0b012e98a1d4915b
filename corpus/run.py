"""Runs the corpus and prints what is reported of each bug and of its fix: `make corpus`.

    python corpus/run.py [--drops] [ID ...]

Without ids all cases run but those on the demonstration's machine, which take minutes (`--drops`). Exit
codes: 0 all is as the cases say, 1 something is not, 2 bad input.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from corpus import judge
from corpus.case import Case, CaseError, Form, Verdict, all_cases


def as_claimed(case: Case, buggy: frozenset[str], fixed: frozenset[str]) -> bool:
    """Say whether what was reported is what the case says.

    A real machine reports all that suffers from the lost maintenance, so kinds are "at least" there.
    """
    exact = case.form is not Form.DROP
    caught = (buggy == case.kinds if exact else buggy >= case.kinds) and not fixed
    return caught is (case.verdict is Verdict.CAUGHT)


@functools.cache
def on_the_demonstration(rule: str) -> frozenset[str]:
    """Boot the KVM host with its guest, without the maintenance of a rule (all of it for "")."""
    from pocwatch.demo import machine
    from pocwatch.sanitizer import launch

    prepared = machine.prepare(machine.default_cache_dir())
    options = launch.Options(
        command=prepared.qemu_args(),
        symbols=prepared.symbol_options(),
        drop=(rule,) if rule else (),
    )
    report = launch.run(launch.plan(options), lambda _: None)
    if not report.complete:
        raise RuntimeError(f"the demonstration's machine: {report.failure}")
    return frozenset(finding.kind for finding in report.findings)


def chosen(ids: list[str], drops: bool) -> list[Case]:
    """Return the cases to run. Raises CaseError for an id that there is not."""
    cases = all_cases()
    unknown = sorted(set(ids) - {case.id for case in cases})
    if unknown:
        raise CaseError(
            f"there is no case {', '.join(unknown)}: accepted are {', '.join(c.id for c in cases)}"
        )
    return [
        case
        for case in cases
        if case.form is not Form.NONE
        and (case.id in ids or not ids)
        and (case.form is not Form.DROP or drops or case.id in ids)
    ]


def _shown(kinds: frozenset[str]) -> str:
    return ", ".join(sorted(kinds)) or "clean"


def main() -> int:
    """Run the cases of the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="corpus/run.py", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="cases, such as 24 or 73a; default: all"
    )
    parser.add_argument(
        "--drops", action="store_true", help="also boot the demonstration's machine"
    )
    given = parser.parse_args()
    try:
        cases = chosen(given.ids, given.drops)
    except CaseError as error:
        print(f"corpus/run.py: {error}", file=sys.stderr)
        return 2
    right = 0
    print(f"{'id':4} {'form':8} {'bug':24} {'fix':12} {'s':>5}  title")
    for case in cases:
        start = time.monotonic()
        buggy = judge.kinds(case, False, on_the_demonstration)
        fixed = judge.kinds(case, True, on_the_demonstration)
        good = as_claimed(case, buggy, fixed)
        right += good
        remark = "" if good else f"   <- not as claimed: {case.verdict}, {_shown(case.kinds)}"
        seconds = time.monotonic() - start
        print(
            f"{case.id:4} {case.form:8} {_shown(buggy):24} {_shown(fixed):12} {seconds:5.1f}  "
            f"{case.project}: {case.title}{remark}",
            flush=True,
        )
    print(f"{right} of {len(cases)} cases are as the corpus says")
    return int(right != len(cases))


if __name__ == "__main__":
    raise SystemExit(main())
