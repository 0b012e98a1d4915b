"""pytest run on projects of its own, with the plugin under test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_machine import FakeQemu, fake_qemu

__all__ = ["Project", "fake_qemu", "project"]

Project = Callable[..., pytest.RunResult]


@pytest.fixture
def project(
    pytester: pytest.Pytester, fake_qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """Run a project's test on a fake QEMU that does what `script` says."""
    # as in an environment where pocwatch is installed, whether it is here or not
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(
        body: str, *args: str, ini: str = "", marker: str = "", **script: object
    ) -> pytest.RunResult:
        program = fake_qemu(**script)
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        machine = f"QEMU = [{str(program)!r}, '-M', 'virt', '-cpu', 'cortex-a57', '-m', '64']\n"
        pytester.makepyfile(
            f"import pytest\n{machine}\n{marker}\ndef test_it(pocwatch):\n{lines}\n"
        )
        pytester.makeini(f"[pytest]\naddopts = --strict-markers\n{ini}")
        return pytester.runpytest_subprocess("-p", "pocwatch.pytest_plugin", *args)

    return run
