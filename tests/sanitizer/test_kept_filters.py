"""Filters are made once; what is kept never stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch import platforms
from pocwatch.line import filter as filters
from pocwatch.platforms import Platform
from pocwatch.sanitizer.recording.filters import binary


@pytest.fixture
def known() -> list[Platform]:
    return [platforms.load("cortex-a57-up")]


def test_the_second_time_it_is_read(
    tmp_path: Path, known: list[Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = binary(known, tmp_path)
    assert made == filters.binary(known)
    monkeypatch.setattr(filters, "binary", lambda _: pytest.fail("made again"))
    assert binary(known, tmp_path) == made


def test_other_platforms_have_another(tmp_path: Path, known: list[Platform]) -> None:
    assert binary(known, tmp_path) != binary([platforms.load("l2x0-up")], tmp_path)


def test_a_damaged_one_is_made_again(tmp_path: Path, known: list[Platform]) -> None:
    made = binary(known, tmp_path)
    (path,) = tmp_path.glob("*.filter")
    path.write_bytes(path.read_bytes()[:-1])
    assert binary(known, tmp_path) == made


def test_a_folder_that_cannot_be(tmp_path: Path, known: list[Platform]) -> None:
    (tmp_path / "file").touch()
    assert binary(known, tmp_path / "file" / "folder") == filters.binary(known)
