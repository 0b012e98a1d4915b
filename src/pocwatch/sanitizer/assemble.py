"""A report from what the judge left: raw findings and counters, of a run or of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.sanitizer.analysis import Analyst, where
from pocwatch.sanitizer.cpufacts import CpuFacts
from pocwatch.sanitizer.explain import Describe
from pocwatch.sanitizer.findings import Device, Report
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.rules import Rule
from pocwatch.sanitizer.stacks import Stacks
from pocwatch.sanitizer.stacks import where as where_of_frame
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.sanitizer.suppressions.apply import sort_out
from pocwatch.trace.records import Finding as RawFinding
from pocwatch.trace.records import Frame, RunHeader


@dataclass(frozen=True, slots=True)
class Watched:
    """What was watched, and how the user wants to read it; `pes` is the machine's number of PEs.

    `command` asks for the report again.
    """

    platform: Any
    qemu: str
    command: tuple[str, ...]
    pes: int
    rules: Sequence[Rule]
    suppressions: Sequence[Suppression]
    describe: Describe
    redundant: bool = False
    warnings: Sequence[str] = ()


def _devices(header: RunHeader) -> list[Device]:
    return [
        Device(
            name=raw.name.decode("ascii", "replace"),
            coherent=bool(raw.coherent),
            lines_read=raw.lines_read,
            lines_written=raw.lines_written,
        )
        for raw in header.devices[: header.n_devices]
    ]


def report(
    watched: Watched,
    header: RunHeader,
    raw: Sequence[RawFinding],
    locator: Locator,
    *,
    frames: Sequence[Frame] = (),
    failure: str | None,
    interrupted: bool,
) -> Report:
    """Return the report; `frames` are those of stacks, by number.

    `failure`: why it is partial, unless the user ended it (`interrupted`).
    """
    places = [
        where(r) for f in raw for r in (f.access, f.writer, *f.history[: f.n_history]) if _real(r)
    ]
    locator.settle([*places, *map(where_of_frame, frames)])
    rules = [rule.text for rule in watched.rules]
    devices = _devices(header)
    analyst = Analyst(
        locator,
        rules,
        watched.platform,
        watched.describe,
        Stacks(locator, frames),
        [device.name for device in devices],
    )
    findings, suppressed = sort_out([analyst.finding(f) for f in raw], watched.suppressions)
    return Report(
        complete=failure is None and not interrupted,
        platform=watched.platform.name,
        qemu=watched.qemu,
        command=watched.command,
        instructions=sum(header.instructions),
        accesses=sum(header.accesses),
        fetches=sum(header.fetches),
        walks=sum(header.walks),
        devices=devices,
        maintenance=_per_op(header.maintenance),
        redundant=_per_op(header.redundant) if watched.redundant else {},
        dropped={text: header.matched[index] for index, text in enumerate(rules)},
        findings=findings,
        suppressed=suppressed,
        warnings=_warnings(watched, header),
        failure=failure or ("ended by the user" if interrupted else None),
        machine_failed=failure is not None,
        definition=watched.platform,
        watched=bool(header.started),
    )


def _real(record: Any) -> bool:
    """Say whether a record of a finding is filled; an access always is."""
    return bool(getattr(record, "seq", 1))


def _per_op(counters: Sequence[int]) -> dict[str, int]:
    return {op.spelling: counters[op] for op in Op if counters[op]}


def _warnings(watched: Watched, header: RunHeader) -> list[str]:
    lines = list(watched.warnings)
    if header.ctr:
        platform = watched.platform
        cpu = CpuFacts.of(header.ctr, header.clidr)
        lines += cpu.contradictions(
            platform.name, platform.idc, platform.dic, platform.dminline_bytes
        )
    if watched.pes > watched.platform.pes:
        lines.append(
            f"platform {watched.platform.name} has {watched.platform.pes} PEs, the machine "
            f"{watched.pes}: set/way operations are judged as for {watched.platform.pes}"
        )
    for index, rule in enumerate(watched.rules):
        if header.started and not header.matched[index]:
            lines.append(
                f"{rule.option} {rule.text!r} matched 0 times: nothing that ran did this there"
            )
    if header.lost_findings:
        lines.append(
            f"{header.lost_findings} more places were found after all {header.max_findings} slots "
            "were full"
        )
    if header.pending_overflows:
        lines.append(
            f"{header.pending_overflows} times more PEs had maintenance pending on one line than "
            "the table follows; those operations were taken as not complete"
        )
    return lines
