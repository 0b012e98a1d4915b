"""Kept results: whole lines count, a cut one does not, and other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.cost.sweep.errors import SweepError
from pocwatch.cost.sweep.kept import Kept, key


def test_results_come_back(tmp_path: Path) -> None:
    file = tmp_path / "sweep.jsonl"
    with Kept(file) as store:
        store.add("a", [1])
        store.add("b", {"x": 2})
    with Kept(file) as store:
        assert store.results == {"a": [1], "b": {"x": 2}}


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "sweep.jsonl"
    with Kept(file) as store:
        store.add("a", 1)
        store.add("b", 2)
    file.write_bytes(file.read_bytes()[:-5])
    with Kept(file) as store:
        assert store.results == {"a": 1}
        store.add("c", 3)
    with Kept(file) as store:
        assert store.results == {"a": 1, "c": 3}


def test_another_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n")
    with pytest.raises(SweepError, match=r"--resume: .*notes.txt:1 is no kept result"):
        Kept(file)
    assert file.read_text() == "buy milk\n"
    with pytest.raises(SweepError, match="cannot be used: No such file"):
        Kept(tmp_path / "nowhere" / "x.jsonl")


def test_keys_tell_inputs_apart() -> None:
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1}) != key({"a": 1, "b": 3})
