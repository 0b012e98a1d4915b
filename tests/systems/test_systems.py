"""Firmware, Xen and Linux in what they do to code and CPUs: they work, and nothing new is reported.

Xen takes minutes and is left to `make systems`; docs/systems.md has its result.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.sanitizer import launch
from systems import files as systems_files
from systems import run
from systems.cases import CASES, Case
from systems.files import Files

BY_NAME = {case.name: case for case in CASES}
SLOW = {"xen"}
RUNS = [
    pytest.param(case, platform, id=f"{case.name}-{platform}")
    for case in CASES
    if case.name not in SLOW
    for platform in case.platforms
]


@pytest.fixture(scope="session")
def files(plugin_path: Path) -> Files:
    return systems_files.prepare()


@pytest.mark.machine
@pytest.mark.parametrize(("case", "platform"), RUNS)
def test_the_system_works_and_nothing_new_is_found(
    case: Case, platform: str, files: Files, tmp_path: Path
) -> None:
    outcome = run.run(case, platform, files, tmp_path)
    assert outcome.wrong(case, platform) == ""


@pytest.mark.machine
def test_u_boot_needs_more_where_set_way_does_not_reach(files: Files, tmp_path: Path) -> None:
    """docs/findings.md; where it reaches all caches, there is nothing but fetches (above)."""
    outcome = run.run(BY_NAME["u-boot"], "xgene-l3-up", files, tmp_path)
    assert {"stale-read", "stale-walk", "lost-write"} <= set(outcome.kinds())


@pytest.mark.machine
@pytest.mark.parametrize(
    ("name", "rule", "kind"),
    [
        ("edk2", "dc civac@*", "stale-fetch"),
        ("kexec", "dc civac@dcache_clean_inval_poc", "stale-fetch"),
        ("patching", "ic ivau@*", "stale-fetch"),
    ],
)
def test_silence_means_something(
    name: str, rule: str, kind: str, files: Files, tmp_path: Path
) -> None:
    """What each relies on, forgotten: PoC cleans before MMU-off code and data, IC for new code."""
    command = BY_NAME[name].arguments(files, tmp_path)
    options = launch.Options(command=command, symbols=(f"host={files.kernel}",), drop=(rule,))
    report = launch.run(launch.plan(options), lambda _: None)
    caused = {f.kind for f in report.findings if any(e.rule == rule for e in f.history)}
    assert kind in caused


def test_what_the_console_must_say_is_said_in_order() -> None:
    assert run.missing(("a", "b"), "xaxbx") == ()
    assert run.missing(("a", "b"), "xbxax") == ("b",)
    assert run.missing(("a", "a"), "xax") == ("a",)


def test_every_platform_with_findings_is_one_that_is_run() -> None:
    for case in CASES:
        assert set(case.analysed or {}) <= set(case.platforms), case.name


def test_unknown_cases_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", "uboot"])
    assert run.main() == 2
    assert "no case 'uboot'; accepted: u-boot, edk2" in capsys.readouterr().err
