"""A limit on how long QEMU runs: a failure, or the regular end of software that has none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fake_machine import FakeQemu

from pocwatch.sanitizer import launch, process
from pocwatch.sanitizer.findings import Report

MACHINE = ("-M", "virt", "-cpu", "cortex-a57", "-m", "64")


def run(program: Path, limit: process.Limit) -> Report:
    plan = launch.plan(launch.Options(command=[str(program), *MACHINE], platform="cortex-a57-up"))
    return launch.run(plan, lambda _: None, limit=limit)


def test_a_machine_that_ends_in_time_is_complete(fake_qemu: FakeQemu) -> None:
    assert run(fake_qemu(), process.Limit(60)).complete


def test_a_machine_that_does_not_end_is_partial(fake_qemu: FakeQemu) -> None:
    start = time.monotonic()
    report = run(fake_qemu(sleep=60), process.Limit(0.3))
    assert time.monotonic() - start < 10
    assert (report.complete, report.machine_failed) == (False, True)
    assert report.failure == "QEMU did not end in 0.3 s"


def test_the_limit_can_be_the_regular_end(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(sleep=60), process.Limit(0.3, ends_it=True))
    assert (report.complete, report.failure) == (True, None)


@pytest.mark.parametrize(("ends_it", "complete"), [(False, False), (True, False)])
def test_a_machine_that_does_not_listen_is_killed(
    fake_qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch, ends_it: bool, complete: bool
) -> None:
    """The plugin never said that it is done, so the report cannot be whole."""
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0.2)
    report = run(fake_qemu(sleep=60, deaf=True), process.Limit(0.2, ends_it))
    assert report.complete is complete
    assert report.failure


def test_a_machine_that_fails_by_itself_fails(fake_qemu: FakeQemu) -> None:
    failed: Any = run(fake_qemu(exit=3), process.Limit(60, ends_it=True)).failure
    assert failed == "QEMU exited with code 3"
