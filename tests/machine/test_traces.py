"""A recorded boot, replayed, gives the findings that runs of the same boot give.

QEMU boots the same twice, instruction by instruction, when it counts instructions instead of time
(-icount), with fixed seeds and a fixed clock.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest

from pocwatch.demo.machine import Machine
from pocwatch.report import json as report_json
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.profile import Profile
from pocwatch.sanitizer.recording import record
from pocwatch.sanitizer.replaying import replay
from pocwatch.trace.reader import Trace

pytestmark = pytest.mark.machine
Json = dict[str, Any]
# What a run numbers in its own way, or counts of what a trace does not keep.
OF_THE_RUN = ("seq", "first_seen_at_instruction", "command", "dropped")


@pytest.fixture(scope="module")
def boot(prepared: Machine) -> list[str]:
    words = prepared.qemu_args(scenario="host")
    words[words.index("-M") + 1] += ",dtb-randomness=off"
    at = words.index("-accel")
    words[at : at + 2] = [
        *("-icount", "shift=0,sleep=off", "-seed", "1"),
        *("-rtc", "base=2026-01-01,clock=vm"),
    ]
    return words


@pytest.fixture(scope="module")
def trace(plugin_path: Path, boot: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trace") / "boot.parquet"
    plan = record.plan(record.Options(command=boot, out=out))
    recorded = record.run(plan, lambda _: None, lambda _progress, _size: None)
    assert recorded.report.complete, recorded.report.failure
    return out


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k not in OF_THE_RUN}
    return [comparable(v) for v in value] if isinstance(value, list) else value


def by_site(profile: Profile) -> dict[Hashable, tuple[int, ...]]:
    """Everything that is counted, by operation and call stack: names alike may be several."""
    found: dict[Hashable, tuple[int, ...]] = {}
    for s in profile.sites:
        counts = (s.count, s.judged, s.dirty, s.lines, s.redundant, sum(s.needed.values()))
        place = (s.op, s.el, s.vm, *(frame.pc for frame in s.stack))
        before = found.get(place, (0,) * len(counts))
        found[place] = tuple(map(sum, zip(before, counts, strict=True)))
    return found


@pytest.mark.parametrize(
    ("platform", "drop", "at_least"),
    [
        ("auto", (), 0),
        ("l2x0-up", (), 5),
        ("auto", ("dc civac@*",), 5),
        ("xgene-l3-up", ("dc cvau@caches_clean_inval_pou",), 5),
    ],
)
def test_finding_by_finding(
    boot: list[str], trace: Path, platform: str, drop: tuple[str, ...], at_least: int
) -> None:
    """Everything in the report, but for what each numbers in its own way; the profile, site by site."""
    profiles: list[Profile] = []
    options = launch.Options(boot, platform=platform, drop=drop, profile=profiles.append)
    live = launch.run(launch.plan(options), lambda _: None)
    assert live.complete
    asked = replay.Options(trace, [platform], drop, jobs=2, profile=profiles.append)
    (replayed,) = replay.run(replay.plan(asked), lambda _done, _of: None)
    counted, recounted = map(by_site, profiles)
    assert len(counted) > 50
    assert counted == recounted
    one, other = (comparable(report_json.data(each)) for each in (live, replayed))
    assert one["instructions"] == other["instructions"]
    assert len(one["findings"]) >= at_least
    for mine, theirs in zip(one["findings"], other["findings"], strict=True):
        assert mine == theirs
    assert {k: v for k, v in one.items() if k != "findings"} == {
        k: v for k, v in other.items() if k != "findings"
    }


def test_small_enough_to_mail(trace: Path) -> None:
    with Trace(trace) as opened:
        assert opened.damage == []
        assert opened.rows > 1_000_000
    assert trace.stat().st_size < 20_000_000
