"""`pocwatch user` as far as no machine is needed: what is refused, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pocwatch.cli import user
from pocwatch.sanitizer.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no program given; usage: pocwatch user"),
        (["--rootfs", "x", "--packages", "y", "--", "p"], "exclude each other"),
        (["--workdir", "none/such", "--", "p"], "--workdir none/such: is no folder"),
        (["--file", "missing", "--", "p"], "'missing' is no file"),
    ],
)
def test_refused(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = ["--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(user.command, [*cache, *arguments])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "cache").exists()  # before anything is prepared


@pytest.mark.parametrize(
    ("status", "found", "wanted", "code"),
    [
        (0, False, None, 0),
        (3, False, None, 3),
        (0, True, None, 1),  # a program that went well and is not right
        (3, True, None, 3),
        (139, True, None, 139),
        (0, True, 99, 99),
        (3, True, 99, 99),
        (3, False, 99, 3),
        (3, True, 0, 3),  # asked for: findings do not count
        (0, True, 0, 0),
    ],
)
def test_exit_code(status: int, found: bool, wanted: int | None, code: int) -> None:
    assert user.exit_code(status, found, wanted) == code
