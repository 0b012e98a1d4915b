"""Findings that the user accepts, appended to the suppression file that `pocwatch run` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pocwatch.sanitizer import suppressions
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.suppressions import generate
from pocwatch.sanitizer.suppressions.apply import provoked

DEFAULT_FILE = Path("pocwatch-suppressions.toml")


class AcceptError(Exception):
    """Nothing was written; the message is one line for the status line."""


def acceptable(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings, one for each entry that they need. Raise AcceptError if that is none."""
    if not findings:
        raise AcceptError("not suppressed: this is an event, not a finding")
    found = {generate.patterns(each): each for each in reversed(findings) if not provoked(each)}
    if not found:
        raise AcceptError("not suppressed: a --drop or --weaken rule provoked it (always reported)")
    return list(reversed(found.values()))


def append(file: Path, findings: Sequence[Finding], reason: str) -> int:
    """Append an entry for each finding that the file does not match; return how many.

    The file is read first, and what it would become is read back before it is written: a file that
    `run` refuses stays as it is. Raise AcceptError.
    """
    if not reason.strip():
        raise AcceptError("nothing written: an accepted finding needs a reason")
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        there = suppressions.parse(text, str(file))
        new = [each for each in findings if not any(entry.matches(each) for entry in there)]
        entries = ["\n".join(generate.entry(f, generate.name(f), reason.strip())) for f in new]
        added = "\n\n".join(entries) + "\n" if entries else ""
        if text and added:
            added = ("\n" if text.endswith("\n") else "\n\n") + added
        suppressions.parse(text + added, str(file))
        with file.open("a", encoding="utf-8") as opened:
            opened.write(added)
            opened.flush()
            os.fsync(opened.fileno())
    except UsageError as error:
        raise AcceptError(f"nothing written: {error}") from None
    except UnicodeDecodeError:
        raise AcceptError(f"nothing written: {file}: is not UTF-8 text") from None
    except OSError as error:
        raise AcceptError(f"nothing written: {file}: {error.strerror}") from None
    return len(new)
