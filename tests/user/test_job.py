"""A program to run, as init reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.sanitizer.errors import UsageError
from pocwatch.user import job

ARM64, X86_64 = (b"\x7fELF" + bytes(14) + bytes([machine, 0]) for machine in (183, 62))


def test_the_text_has_folder_arguments_and_environment(tmp_path: Path) -> None:
    made = job.make(["luajit", "a b", ""], tmp_path, (), {"LANG": "C", "X": "1=2"})
    words = made.text().split(b"\0")
    assert words[:5] == [str(tmp_path).encode(), b"3", b"luajit", b"a b", b""]
    assert words[5] == b"4"
    assert sorted(words[6:10]) == sorted(
        [b"HOME=/root", b"LANG=C", b"X=1=2", f"PATH={job.ENVIRONMENT['PATH']}".encode()]
    )
    assert words[10:] == [b""]  # each string ends in a zero byte


def test_a_program_of_this_computer_comes_along_under_its_full_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prog").write_bytes(ARM64)
    monkeypatch.chdir(tmp_path)
    made = job.make(["./prog", "x"], None, (), {})
    assert made.arguments == (f"{tmp_path}/prog", "x")
    assert made.host_path(f"{tmp_path}/prog") == Path("prog")
    assert b"/prog\0" in made.archive()
    assert made.text().startswith(b"/\0")


def test_a_program_for_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prog").write_bytes(X86_64)
    with pytest.raises(UsageError, match=r"not for arm64 \(ELF machine 62\)"):
        job.make([f"{tmp_path}/prog"], None, (), {})


@pytest.mark.parametrize(
    ("arguments", "files", "message"),
    [
        ([], [], "no program given; usage: pocwatch user"),
        (["p"], ["none:/etc/x"], "'none' is no file; give FILE or FILE:NAME"),
    ],
)
def test_refused(arguments: list[str], files: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        job.make(arguments, None, files, {})


def test_files_get_the_name_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    made = job.make(["p"], None, [f"{tmp_path}/x:/etc/x", f"{tmp_path}/x"], {})
    assert made.placed == {"/etc/x": tmp_path / "x", f"{tmp_path}/x": tmp_path / "x"}
