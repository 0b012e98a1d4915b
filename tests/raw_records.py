"""Raw records of the run file, as the plugin would write them, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pocwatch.arch.ops import Kind, Op
from pocwatch.trace.records import (
    NO_ADDRESS,
    Access,
    Event,
    Finding,
    FindingKind,
    Flag,
    Why,
)

HOST_PC, HOST_PA = 0xFFFF_8000_0803_8E18, 0x4023_8E18
GUEST_PC = 0x8020_0000
GUEST_CODE_PA = 0x4A00_0000

PLATFORM = SimpleNamespace(
    name="fake-l3", pes=8, idc=False, dic=False, dminline_bytes=64, levels=(), description=""
)


@dataclass
class Explained:
    repair: list[str]
    state_text: list[str]
    lost: bool = False


def describe(platform: Any, states: Any, cell: int, op: Op, kind: Kind) -> Explained:
    """Stand in for the line model's explainer."""
    return Explained(
        [f"dc civac before the {op.spelling} {kind.name.lower()}", "dsb"],
        ["memory stale, L3 latest dirty" if s == states[cell] else "coherent" for s in states],
    )


def event(seq: int, op: Op, kind: Kind = Kind.WB, **fields: Any) -> Event:
    given = {
        "pc": HOST_PC,
        "pc_pa": HOST_PA,
        "pc_ipa": NO_ADDRESS,
        "el": 1,
        "cells": 0xFF,
        "rule": -1,
    }
    return Event(seq=seq, op=op, kind=kind, **(given | fields))


def guest_access(op: Op = Op.IF, kind: Kind = Kind.NC, **fields: Any) -> Access:
    given: dict[str, Any] = {
        "pc": GUEST_PC,
        "pc_pa": GUEST_CODE_PA,
        "pc_ipa": GUEST_PC,
        "va": GUEST_PC,
        "ipa": GUEST_PC,
        "pa": GUEST_CODE_PA,
        "insn": 0xD503201F,
        "why": Why.S1_OFF | Why.S2_ON,
        "vm_id": 1,
        "size": 4,
        "el": 1,
        "flags": Flag.VM,
        "s2_attr": 0xF,
    }
    return Access(op=op, kind=kind, **(given | fields))


def finding(
    kind: FindingKind = FindingKind.STALE_FETCH,
    access: Access | None = None,
    writer: Event | None = None,
    history: tuple[Event, ...] = (),
    **fields: Any,
) -> Finding:
    raw = Finding(
        count=3,
        instructions=123_456,
        access=access or guest_access(),
        writer=writer or event(5, Op.ST, el=0),
        kind=kind,
        n_history=len(history),
        line_size=64,
        **fields,
    )
    for position, each in enumerate(history):
        raw.history[position] = each
    for cell in range(8):
        raw.states[cell] = 1 if cell == raw.cell else 2
    return raw
