"""Modules of tests are imported by their names alone, whatever their folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path


def test_no_two_modules_of_tests_have_one_name() -> None:
    names = Counter(path.stem for path in Path(__file__).parent.rglob("*.py"))
    del names["conftest"]
    assert [name for name, count in names.items() if count > 1] == []
