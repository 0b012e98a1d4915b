"""All questions, in the order in which a user would want to cure things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocwatch.doctor import parts, storage
from pocwatch.doctor.record import Check, State


def all_checks(program: str, files: Sequence[str], kernel: Path | None) -> list[Check]:
    """Return the answers. Raise UsageError for symbol options that cannot be read."""
    found = parts.checks()
    absent = [check for check in found if check.state is State.MISSING]
    if absent:  # then nothing that is asked below can be imported
        return [*absent, *storage.checks(), *(check for check in found if check not in absent)]
    from pocwatch.doctor import machine, symbols

    asked = symbols.checks(files, kernel)
    return [*machine.checks(program), *storage.checks(), *asked, *found]
