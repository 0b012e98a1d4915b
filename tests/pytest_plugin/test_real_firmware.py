"""The firmware of docs/howto-firmware.md under a real QEMU: buggy, fixed, and what is kept of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto-firmware.md"


FILES = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WRONG = """

def test_of_the_buggy(pocwatch, tmp_path):
    pocwatch.run([*MACHINE, "-kernel", build(tmp_path)]).assert_clean()
"""


@pytest.mark.machine
def test_buggy_and_fixed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin_path: Path
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    for name, body in FILES.findall(PAGE.read_text()):
        (pytester.path / name).write_text(body)
    test = pytester.path / "test_mailbox.py"
    test.write_text(test.read_text() + WRONG)
    done = pytester.runpytest_subprocess(
        "-p", "pocwatch.pytest_plugin", "--pocwatch-artifacts", "reports"
    )
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(
        ["*stale-read in read_mailbox (host, MMU off), once*", "*Repair: dc cvac; dsb*"]
    )
    found = {
        file.name.split("-")[1]: [f["kind"] for f in json.loads(file.read_text())["findings"]]
        for file in (pytester.path / "reports").glob("*.json")
    }
    assert found == {
        "test_the_fixed_firmware_is_clean": [],
        "test_the_old_mistake_is_still_seen": ["stale-read"],
        "test_the_clean_is_what_it_depends_on": ["stale-read"],
        "test_of_the_buggy": ["stale-read"],
    }
