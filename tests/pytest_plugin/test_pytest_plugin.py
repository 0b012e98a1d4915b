"""The fixture `pocwatch` in projects of other people, on a fake QEMU."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import raw_records as raw
from fake_machine import FakeQemu

Project = Callable[..., pytest.RunResult]

CLEAN = "pocwatch.run(QEMU).assert_clean()"
FOUND = {"raw": [raw.finding()]}


def test_a_clean_machine_passes(project: Project) -> None:
    project(CLEAN).assert_outcomes(passed=1)


def test_a_finding_fails_with_the_report(project: Project) -> None:
    done = project(CLEAN, **FOUND)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["*pocwatch: not clean*", "*stale-fetch in*(guest, MMU off), 3 times*", "*Repair: *"]
    )
    done.stdout.no_fnmatch_line("*checked.py*")  # the test's own line is shown, not ours


def test_a_finding_can_be_asked_for(project: Project) -> None:
    body = (
        "report = pocwatch.run(QEMU)\n"
        "found = report.assert_finding(kind='stale-fetch', guest=True)\n"
        "assert found is report.findings[0] is report.report.findings[0]\n"
    )
    project(body, **FOUND).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "asked", ["kind='stale-walk'", "symbol='reset_*'", "writer='memcpy'", "guest=False"]
)
def test_a_finding_that_is_not_there_fails(project: Project, asked: str) -> None:
    done = project(f"pocwatch.run(QEMU).assert_finding({asked})", **FOUND)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"*pocwatch: no finding with {asked}*", "*stale-fetch in*"])


@pytest.mark.parametrize(
    ("pattern", "passed"),
    [("boot_stub", 1), ("boot_*", 1), ("boot_stub+0x4", 0), ("stub", 0)],
)
def test_symbols_are_patterns(
    project: Project, tmp_path: Path, pattern: str, passed: int
) -> None:
    names = tmp_path / "names"
    names.write_text(f"{raw.GUEST_PC:016x} T boot_stub\n{raw.GUEST_PC + 64:016x} T end\n")
    body = (
        f"report = pocwatch.run(QEMU, symbols=['guest={names}'])\n"
        f"report.assert_finding(symbol={pattern!r})"
    )
    project(body, **FOUND).assert_outcomes(passed=passed, failed=1 - passed)


def test_a_machine_that_fails_fails_the_test(project: Project) -> None:
    done = project("pocwatch.run(QEMU)", exit=1)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*pocwatch: the machine failed: QEMU exited with code 1*"])


def test_a_machine_that_does_not_end_fails_the_test_unless_it_need_not(project: Project) -> None:
    done = project("pocwatch.run(QEMU, timeout=0.3)", sleep=60)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*the machine failed: QEMU did not end in 0.3 s*"])
    endless = "pocwatch.run(QEMU, timeout=0.3, must_end=False).assert_clean()"
    project(endless, sleep=60).assert_outcomes(passed=1)


def test_bad_input_fails_in_a_line(project: Project) -> None:
    done = project("pocwatch.run(QEMU, platform='z80')")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["pocwatch: --platform: unknown platform 'z80'*"])
    done.stdout.no_fnmatch_line("*another exception*")


NO_QEMU = "pocwatch.run(['/no/qemu-system-aarch64', *QEMU[1:]])"


def test_without_qemu_the_test_fails_or_is_skipped(project: Project) -> None:
    done = project(NO_QEMU)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["pocwatch: /no/qemu-system-aarch64: no such program*doctor*"])
    project(NO_QEMU, ini="pocwatch_required = false\n").assert_outcomes(skipped=1)
    # what the test itself does wrong is never skipped
    project("pocwatch.run([])", ini="pocwatch_required = false\n").assert_outcomes(failed=1)


def test_defaults_come_from_the_ini_file_then_the_marker_then_the_call(project: Project) -> None:
    ini = "pocwatch_platform = cortex-a57-up\n"
    said = "print('platform:', pocwatch.run(QEMU%s).report.platform)"
    shown = project(said % "", "-s", ini=ini)
    shown.stdout.fnmatch_lines(["*platform: cortex-a57-up*"])
    marker = "@pytest.mark.pocwatch(platform='fwb')"
    project(said % "", "-s", ini=ini, marker=marker).stdout.fnmatch_lines(["*platform: fwb*"])
    called = project(said % ", platform='xgene-l3'", "-s", ini=ini, marker=marker)
    called.stdout.fnmatch_lines(["*platform: xgene-l3*"])


def test_a_timeout_of_the_ini_file(project: Project) -> None:
    done = project("pocwatch.run(QEMU)", ini="pocwatch_timeout = 0.3\n", sleep=60)
    done.stdout.fnmatch_lines(["*QEMU did not end in 0.3 s*"])
    done = project("pocwatch.run(QEMU)", ini="pocwatch_timeout = soon\n")
    done.stdout.fnmatch_lines(["*pocwatch_timeout 'soon': accepted is a number of seconds*"])


def test_a_marker_that_is_wrong_is_refused(project: Project) -> None:
    done = project(CLEAN, marker="@pytest.mark.pocwatch(platfrom='fwb')")
    done.stdout.fnmatch_lines(["*accepted are platform, timeout, suppressions, with names*"])


def test_suppressions_lie_beside_the_ini_file(project: Project, pytester: pytest.Pytester) -> None:
    entry = '[[suppress]]\nname = "known"\nreason = "seen"\nkind = "stale-fetch"\n'
    (pytester.path / "accepted.toml").write_text(entry)
    (pytester.path / "elsewhere").mkdir()
    ini = "pocwatch_suppressions = accepted.toml\n"
    project(CLEAN, ini=ini, **FOUND).assert_outcomes(passed=1)
    project(CLEAN, ini="pocwatch_suppressions = absent.toml\n").assert_outcomes(failed=1)


def test_artefacts_of_every_run(project: Project, pytester: pytest.Pytester) -> None:
    done = project("pocwatch.run(QEMU)\n" + CLEAN, "--pocwatch-artifacts", "out/reports", **FOUND)
    done.assert_outcomes(failed=1)
    folder = pytester.path / "out" / "reports"
    for number in (1, 2):
        (file,) = folder.glob(f"*test_it-{number}.json")
        assert len(json.loads(file.read_text())["findings"]) == 1
        assert "stale-fetch in" in file.with_suffix(".txt").read_text()


def test_tests_with_the_fixture_can_be_left_out(project: Project) -> None:
    project(CLEAN, "-m", "not pocwatch").assert_outcomes(deselected=1)
    project(CLEAN, "-m", "pocwatch").assert_outcomes(passed=1)


def test_the_console_is_captured(project: Project) -> None:
    done = project(CLEAN, stdout="U-Boot 2023.01\n", **FOUND)
    done.stdout.fnmatch_lines(["*Captured stdout call*", "U-Boot 2023.01"])


def test_loading_it_imports_nothing_else(fake_qemu: FakeQemu) -> None:
    """Every pytest of an environment with pocwatch loads it."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pocwatch.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["pocwatch", "pocwatch.pytest_plugin"]


def test_it_is_an_entry_point_of_pytest() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    points = tomllib.loads(text)["project"]["entry-points"]["pytest11"]
    assert points == {"pocwatch": "pocwatch.pytest_plugin"}
