"""Findings in words, shared by the renderings: places, attributes and the reasons for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pocwatch.arch.ops import Kind, Op
from pocwatch.sanitizer.findings import Access, Event, Frame
from pocwatch.sanitizer.reasons import kind_text
from pocwatch.trace.records import Flag, Why

_REASONS = {
    Why.S1_OFF: "stage 1 off (SCTLR.M=0)",
    Why.C_CLEAR: "SCTLR.C=0",
    Why.I_CLEAR: "SCTLR.I=0",
    Why.HCR_DC: "HCR_EL2.DC=1",
    Why.HCR_CD: "HCR_EL2.CD=1",
    Why.HCR_ID: "HCR_EL2.ID=1",
    Why.TCR_WALK: "TCR walk attributes",
}
_NOUNS = {
    Op.LD: "read",
    Op.ST: "write",
    Op.TW: "translation table walk",
    Op.IF: "instruction fetch",
    Op.DMA_RD: "device read",
    Op.DMA_WR: "device write",
    Op.DC_ZVA: "zeroing (DC ZVA)",
}


def hexadecimal(address: int | None) -> str | None:
    """Return an address as text, None for none."""
    return None if address is None else f"{address:#x}"


def operation(op: Op) -> str:
    """Return what an operation is called in a sentence."""
    return _NOUNS.get(op, op.spelling)


def reasons(access: Access) -> list[str]:
    """Return the controls that gave the access its attributes."""
    found = [text for flag, text in _REASONS.items() if flag in access.why]
    if Why.S1_PAGE in access.why:
        found.append(f"stage 1 MAIR {access.s1_mair:#04x}")
    if Why.S2_ON in access.why and access.s2_attr is not None:
        decided = " (decided)" if Why.S2_DECIDED in access.why else ""
        found.append(f"stage 2 MemAttr {access.s2_attr:#06b}{decided}")
    if Why.FWB in access.why:
        found.append("FWB")
    return found


def attributes(access: Access) -> str:
    """Return the effective attributes and why, in one line."""
    if access.op is Op.DMA_RD:
        return device_attributes(access.kind)
    why = ", ".join(reasons(access))
    return kind_text(access.kind) + (f": {why}" if why else "")


def write_attributes(event: Event) -> str:
    """Return the attributes with which a write was made."""
    return device_attributes(event.kind) if event.op is Op.DMA_WR else kind_text(event.kind)


def device_attributes(kind: Kind) -> str:
    """Return whether a device's access looks into the caches."""
    return "coherent: it snoops the caches" if kind is Kind.WB else "non-coherent: it sees memory only"


def world(el: int, vm: bool, vm_id: int) -> str:
    """Return the exception level, and whose it is."""
    return f"EL{el}, guest {vm_id}" if vm and vm_id else f"EL{el}{', guest' if vm else ''}"


def device(agent: str, name: str | None) -> str:
    """Return a device's number with its name."""
    return f"{agent} ({name})" if name else agent


def author(event: Event) -> str:
    """Return what wrote: the code, or the device."""
    if event.op is Op.DMA_WR:
        return device(event.agent, event.device)
    return event.symbol or f"{event.pc:#x}"


def code_place(pc: int, symbol: str | None) -> str:
    """Return an instruction's address with its symbol."""
    return f"{symbol} ({pc:#x})" if symbol else f"{pc:#x}"


def function_or_pc(frame: Frame) -> str:
    """Return the function of a frame, or its address."""
    return frame.symbol.split("+")[0] if frame.symbol else f"{frame.pc:#x}"


def callers(stack: Sequence[Frame]) -> str:
    """Return the functions above a stack's innermost frame, that of the caller first."""
    names = [function_or_pc(frame) for frame in stack[1:]]
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    return " < ".join(name if times == 1 else f"{name} ({times}×)" for name, times in runs)


def mmu(flags: Flag) -> str:
    """Return whether stage 1 was on."""
    return "MMU on" if Flag.MMU_ON in flags else "MMU off"


def short_attributes(kind: Kind) -> str:
    """Return the memory type as `pocwatch line` spells it."""
    return kind.name.lower()
