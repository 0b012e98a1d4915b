"""Call stacks named: host, guest, the call before a return address, and a link register of the past."""

from __future__ import annotations

import pytest
import raw_records as raw

from pocwatch.arch.ops import Op
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.locate import Locator, Program, Where
from pocwatch.sanitizer.stacks import Stacks, function
from pocwatch.sanitizer.symbols import Symbol, SymbolTable
from pocwatch.trace.records import NO_ADDRESS, Frame

HOST = SymbolTable.of(
    "host",
    [
        Symbol(0x1000, "clean"),
        Symbol(0x2000, "fault"),
        Symbol(0x3000, "panics"),  # ends with a call that does not return
        Symbol(0x3040, "innocent"),
        Symbol(0x4000, "fault.cold"),
        Symbol(0x5000, "end"),
    ],
)
GUEST = SymbolTable.of("guest", [Symbol(0x2000, "guest_entry"), Symbol(0x3000, "end")])
LOCATOR = Locator([Program("host", HOST), Program("guest", GUEST)])


def frame(pc: int, caller: int = 0, *, link: bool = False, guest: bool = False) -> Frame:
    ipa = pc if guest else NO_ADDRESS
    return Frame(pc=pc, pc_pa=0x4000_0000 + pc, pc_ipa=ipa, caller=caller, el=1, link=link)


def names(*frames: Frame, at: Where | None = None) -> list[str | None]:
    """The symbols of the stack whose innermost frame is the last."""
    return [f.symbol for f in Stacks(LOCATOR, frames).of(len(frames), at)]


def test_innermost_first() -> None:
    stack = Stacks(LOCATOR, [frame(0x3008), frame(0x2010, 1), frame(0x1020, 2)])
    assert [(f.pc, f.symbol) for f in stack.of(3)] == [
        (0x1020, "clean+0x20"),
        (0x2010, "fault+0x10"),
        (0x3008, "panics+0x8"),
    ]
    assert stack.of(0) == stack.of(4) == ()


def test_a_return_address_behind_the_end_of_its_function() -> None:
    assert names(frame(0x3040), frame(0x1020, 1)) == ["clean+0x20", "panics+0x40"]
    assert names(frame(0x3040)) == ["innocent"]  # as an instruction, it is the next one's first


def test_guest_and_host_at_one_address() -> None:
    assert names(frame(0x2010, guest=True), frame(0x2020, 1, guest=True)) == [
        "guest_entry+0x20",
        "guest_entry+0x10",
    ]
    assert names(frame(0x2010), frame(0x2020, 1)) == ["fault+0x20", "fault+0x10"]


@pytest.mark.parametrize(
    ("pc", "link", "kept"),
    [
        (0x1020, 0x2010, True),  # a leaf: `fault` called `clean`
        (0x1020, 0x1010, False),  # `clean` called something before
        (0x4008, 0x2010, False),  # a part of `fault` that the compiler put elsewhere
        (0x9000, 0x2010, False),  # without symbols nobody can say
        (0x1020, 0x9000, False),
    ],
)
def test_the_link_register(pc: int, link: int, kept: bool) -> None:
    found = Stacks(LOCATOR, [frame(0x3008), frame(link, 1, link=True), frame(pc, 2)]).of(3)
    assert [f.pc for f in found] == [pc, link, 0x3008] if kept else [pc, 0x3008]


def test_the_place_of_the_access_is_the_innermost_frame() -> None:
    """A fetch is recorded at the first instruction of its run."""
    at = Where(0x1028, 0x4000_1028, NO_ADDRESS, False)
    assert names(frame(0x2010), frame(0x1020, 1), at=at) == ["clean+0x28", "fault+0x10"]


def test_frames_that_are_their_own_callers_end() -> None:
    """A file that was damaged, or half written."""
    assert names(frame(0x2010, 2), frame(0x1020, 2)) == ["clean+0x20", "fault+0x10"]
    assert names(frame(0x2010, 7), frame(0x1020, 1)) == ["clean+0x20", "fault+0x10"]


def test_functions() -> None:
    assert [function(s) for s in ("f+0x10", "f", "f.cold+0x4", "f.isra.0", None)] == [
        *("f", "f", "f", "f"),
        None,
    ]


def test_findings_have_them() -> None:
    stacks = Stacks(LOCATOR, [frame(0x2010), frame(0x1020, 1)])
    analyst = Analyst(LOCATOR, [], raw.PLATFORM, raw.describe, stacks)
    access = raw.guest_access(pc=0x1020, pc_ipa=NO_ADDRESS, va=0x1020, flags=0, stack=2)
    found = analyst.finding(
        raw.finding(access=access, history=(raw.event(7, Op.DC_CVAU, stack=1),))
    )
    assert [f.symbol for f in found.access.stack] == ["clean+0x20", "fault+0x10"]
    assert [f.symbol for f in found.maintenance[0].event.stack] == ["fault+0x10"]
    assert found.writer is not None
    assert found.writer.stack == ()
