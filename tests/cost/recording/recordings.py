"""Event recordings written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pocwatch.arch.ops import Op
from pocwatch.cost.recording import Recording, read
from pocwatch.cost.recording.record import NO_ADDRESS, Event, EventKind, Flag, header

VM, PAGE = 1, 4096
OFF, ON = Flag(0), Flag.MMU_ON | Flag.CACHES_ON
TRAPPED = Flag.TRAPS_MMU | Flag.TRAPS_SET_WAY

# ESR_EL2 by hand: EC in [31:26], IL (bit 25), ISS. Arm ARM DDI 0487, "ESR_EL2".
DATA_TRANSLATION = 0x24 << 26 | 1 << 25 | 0b000111
FETCH_TRANSLATION = 0x20 << 26 | 1 << 25 | 0b000111
PERMISSION = 0b001111
WNR, S1PTW, CM = 1 << 6, 1 << 7, 1 << 8


def system(op0: int, op1: int, n: int, m: int, op2: int, *, rt: int = 0, read: bool = False) -> int:
    """The syndrome of a trapped MSR, MRS or SYS."""
    where = op0 << 20 | op2 << 17 | op1 << 14 | n << 10 | rt << 5 | m << 1
    return 0x18 << 26 | 1 << 25 | where | read


SCTLR = system(3, 0, 1, 0, 0)
CISW = system(1, 0, 7, 14, 2)


def event(kind: EventKind, time: int, **values: int) -> Event:
    addresses = dict.fromkeys(("ipa", "pa", "va"), NO_ADDRESS)
    return Event(kind=kind, time=time, **{"vm": VM, **addresses, **values})


def entry(time: int, vcpu: int = 0, pe: int = 0, flags: Flag = TRAPPED) -> Event:
    return event(EventKind.ENTRY, time, value=vcpu, pe=pe, flags=flags)


def fault(time: int, ipa: int, syndrome: int = DATA_TRANSLATION, flags: Flag = OFF) -> Event:
    return event(EventKind.EXCEPTION, time, ipa=ipa, syndrome=syndrome, flags=flags)


def trap(time: int, syndrome: int, value: int = 0, flags: Flag = OFF) -> Event:
    return event(EventKind.EXCEPTION, time, syndrome=syndrome, value=value, flags=flags)


def touch(
    time: int, ipa: int, op: Op = Op.LD, flags: Flag = OFF, log2: int = 12, pa: int | None = None
) -> Event:
    where = ipa if pa is None else pa
    return event(EventKind.TOUCH, time, ipa=ipa, pa=where, op=op, flags=flags, detail=log2)


def maintenance(time: int, op: Op, pa: int, count: int, changed: int = 0, dirty: int = 0) -> Event:
    counts = {"count": count, "changed": changed, "dirty": dirty}
    return event(EventKind.MAINTENANCE, time, vm=0, op=op, pa=pa, el=1, **counts)


def written(time: int, pa: int, va: int, size: int, process: int = 7, vm: int = VM) -> Event:
    return event(EventKind.WRITTEN, time, pa=pa, va=va, count=size, value=process, vm=vm)


def tlbi(time: int, ipa: int = NO_ADDRESS) -> Event:
    return event(EventKind.TLBI, time, ipa=ipa)


def end(time: int) -> Event:
    return event(EventKind.END, time, vm=0)


def text(events: Iterable[Event], pes: int = 1) -> bytes:
    return bytes(header(pes)) + b"".join(map(bytes, events))


def recording(folder: Path, *events: Event, pes: int = 1) -> Recording:
    path = folder / "events"
    path.write_bytes(text(events, pes))
    return read(path)
