"""Runs the cases and prints a table of what was reported: `make systems`.

    python systems/run.py [--out DIR] [CASE ...]

Exit codes: 0 every machine did what it must and every kind of finding is one that docs/findings.md
explains, 1 not so, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from pocwatch.demo.errors import DemoError
from pocwatch.report import json as report_json
from pocwatch.report import text
from pocwatch.sanitizer import launch, process
from pocwatch.sanitizer.errors import RunError
from pocwatch.sanitizer.findings import Report
from systems.cases import CASES, Case
from systems.files import Files, prepare

LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Outcome:
    """What a case did on a platform. `missing` is what its console did not say."""

    report: Report
    seconds: float
    missing: tuple[str, ...]

    def kinds(self) -> Counter[str]:
        """Return how many findings there are of each kind."""
        return Counter(finding.kind for finding in self.report.findings)

    def wrong(self, case: Case, platform: str) -> str:
        """Return what is not as the case says, or ""."""
        if not self.report.complete:
            return f"the machine failed: {self.report.failure}"
        if self.missing:
            return f"the console does not say '{self.missing[0]}'"
        new = sorted(set(self.kinds()) - case.allowed(platform))
        return f"not explained in docs/findings.md: {', '.join(new)}" if new else ""


def missing(said: tuple[str, ...], console: str) -> tuple[str, ...]:
    """Return the words that are not on the console in their order, from the first that is not."""
    at = 0
    for index, words in enumerate(said):
        at = console.find(words, at) + len(words)
        if at < len(words):
            return said[index:]
    return ()


class Keyboard:
    """Types a case's lines into its machine: the next one when the console shows the next prompt.

    A machine that is given all at once throws away what it is not ready for.
    """

    def __init__(self, folder: Path, case: Case) -> None:
        self._console, self._fifo, self._case = folder / "console", folder / "keyboard", case
        self._typed = 0
        self._file: int | None = None

    def __enter__(self) -> Keyboard:
        if self._case.typed:
            self._fifo.unlink(missing_ok=True)
            os.mkfifo(self._fifo)
            self._file = os.open(self._fifo, os.O_RDWR)  # so that nobody waits for another end
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def look(self) -> None:
        """Type a line if it is its turn."""
        if self._file is None or self._typed == len(self._case.typed) or not self._console.exists():
            return
        shown = self._console.read_text(errors="replace").count(self._case.prompt)
        if shown > self._typed:
            os.write(self._file, f"{self._case.typed[self._typed]}\n".encode())
            self._typed += 1


def run(case: Case, platform: str, files: Files, folder: Path) -> Outcome:
    """Run a case. Raises RunError."""
    options = launch.Options(
        command=case.arguments(files, folder),
        platform=platform,
        symbols=(f"host={files.kernel}", f"guest={files.kernel}"),
    )
    start = time.monotonic()
    limit = process.Limit(LIMIT_SECONDS, ends_it=False)
    with Keyboard(folder, case) as keyboard:
        report = launch.run(
            launch.plan(options), lambda _: None, lambda _: keyboard.look(), limit=limit
        )
    seconds = time.monotonic() - start
    console = (folder / "console").read_text(errors="replace")
    return Outcome(report, seconds, missing(case.said, console))


def main() -> int:
    """Run the cases of the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="systems/run.py", description=(__doc__ or "").split("\n")[0]
    )
    names = [case.name for case in CASES]
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(names)}; default: all"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep consoles and reports there")
    given = parser.parse_args()
    for name in given.cases:
        if name not in names:
            print(
                f"systems/run.py: no case '{name}'; accepted: {', '.join(names)}", file=sys.stderr
            )
            return 2
    try:
        return _run_all([c for c in CASES if c.name in given.cases or not given.cases], given.out)
    except (DemoError, RunError) as error:
        print(f"systems/run.py: {error}", file=sys.stderr)
        return 1


def _run_all(cases: list[Case], out: Path | None) -> int:
    files = prepare(lambda said: print(f"systems: {said}", file=sys.stderr))
    bad = 0
    print("| case | platform | seconds | million instructions | maintenance | findings |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="pocwatch-systems-") as scratch:
        for case in cases:
            for platform in case.platforms:
                folder = (out or Path(scratch)).absolute() / f"{case.name}-{platform}"
                folder.mkdir(parents=True, exist_ok=True)
                outcome = run(case, platform, files, folder)
                if out:
                    (folder / "report.txt").write_text(text.render(outcome.report))
                    (folder / "report.json").write_text(report_json.render(outcome.report))
                found = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.kinds().items()))
                print(
                    f"| {case.name} | `{platform}` | {outcome.seconds:.0f} | "
                    f"{outcome.report.instructions / 1e6:,.0f} | "
                    f"{sum(outcome.report.maintenance.values()):,} | {found or 'none'} |",
                    flush=True,
                )
                wrong = outcome.wrong(case, platform)
                bad += bool(wrong)
                if wrong:
                    print(f"systems: {case.name} on {platform}: {wrong}", file=sys.stderr)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
