"""The fixture's value: runs machines with the project's defaults, keeps their reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pocwatch.cli.report_options import FORMATS
from pocwatch.pytest_plugin.checked import CheckedReport
from pocwatch.report import text
from pocwatch.sanitizer import launch, process
from pocwatch.sanitizer.errors import MachineError, RunError
from pocwatch.sanitizer.findings import Report

_DEFAULTS = ("platform", "timeout", "suppressions")
_DOCTOR = "`pocwatch doctor` says what is missing"


class Pocwatch:
    """Runs machines for one test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._node_id = request.node.nodeid
        self._defaults = _defaults(request)
        self._runs = 0

    def run(
        self,
        command: Sequence[str | Path],
        *,
        platform: str | None = None,
        symbols: Sequence[str | Path] = (),
        drop: Sequence[str] = (),
        weaken: Sequence[str] = (),
        suppressions: str | Path | None = None,
        unsynced: bool = False,
        timeout: float | None = None,
        must_end: bool = True,
    ) -> CheckedReport:
        """Run a QEMU command and return what was seen; the arguments are options of `pocwatch run`.

        The test fails if the machine does, or takes longer than `timeout` seconds; with
        `must_end=False`, for software that never powers off, that is when it is ended. The console is
        where QEMU's is: `capfd` has it.
        """
        __tracebackhide__ = True
        accepted = suppressions or self._defaults["suppressions"]
        seconds = float(self._defaults["timeout"] if timeout is None else timeout)
        plan = self._plan(
            launch.Options(
                command=[str(word) for word in command],
                platform=platform or str(self._defaults["platform"]),
                symbols=[str(file) for file in symbols],
                drop=drop,
                weaken=weaken,
                suppressions=self._beside_ini(str(accepted)) if accepted else None,
                unsynced=unsynced,
            )
        )
        try:
            limit = process.Limit(seconds, ends_it=not must_end)
            report = launch.run(plan, lambda _: None, limit=limit)
            self._keep(report)
        except RunError as error:
            raise _failed(str(error)) from None
        if report.machine_failed:
            said = text.render(report) if report.watched else ""
            raise _failed(f"the machine failed: {report.failure}\n{said}")
        if not report.complete:  # its user pressed Ctrl-C, which QEMU got
            raise KeyboardInterrupt
        return CheckedReport(report)

    def _plan(self, options: launch.Options) -> launch.Plan:
        __tracebackhide__ = True
        try:
            return launch.plan(options)
        except MachineError as error:
            said = f"{error}; {_DOCTOR}"
            if self._config.getini("pocwatch_required"):
                raise _failed(said) from None
            raise pytest.skip.Exception(f"pocwatch: {said}") from None
        except RunError as error:
            raise _failed(str(error)) from None

    def _beside_ini(self, file: str) -> Path:
        """Return a file's path: relative ones are relative to the configuration file, or the root."""
        ini = self._config.inipath
        return (ini.parent if ini else self._config.rootpath) / file

    def _keep(self, report: Report) -> None:
        """Write the artefacts. Raise MachineError when the disk does not take them."""
        folder = self._config.getoption("--pocwatch-artifacts")
        if folder is None:
            return
        self._runs += 1
        base = re.sub(r"[^\w.=+-]+", "-", self._node_id).strip("-")
        stem = Path(folder) / f"{base}-{self._runs}"
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            Path(f"{stem}.txt").write_text(text.render(report))
        except OSError as error:
            raise MachineError(f"--pocwatch-artifacts {folder}: {error.strerror}") from None
        for form in FORMATS:
            form.write(report, Path(f"{stem}.{form.name}"))


def _failed(said: str) -> BaseException:
    """Return a test's failure without a traceback, which would show only this file."""
    return pytest.fail.Exception(f"pocwatch: {said}", pytrace=False)


def _defaults(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Return the project's defaults, with what markers say nearer to the test."""
    found: dict[str, Any] = {
        name: request.config.getini(f"pocwatch_{name}") for name in _DEFAULTS
    }
    for mark in reversed(list(request.node.iter_markers("pocwatch"))):
        unknown = sorted(set(mark.kwargs) - set(_DEFAULTS))
        if unknown or mark.args:
            what = ", ".join([*map(repr, mark.args), *unknown])
            pytest.fail(
                f"@pytest.mark.pocwatch({what}): accepted are {', '.join(_DEFAULTS)}, with names",
                pytrace=False,
            )
        found |= mark.kwargs
    try:
        float(found["timeout"])
    except (TypeError, ValueError):
        pytest.fail(f"pocwatch_timeout {found['timeout']!r}: accepted is a number of seconds",
                    pytrace=False)  # fmt: skip
    return found
