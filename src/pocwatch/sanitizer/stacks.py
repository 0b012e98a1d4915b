"""Call stacks of findings: the run file's frames, named.

A frame other than the innermost is known by its return address; the call before it is what is looked
up, since a call that never returns may be a function's last instruction. A stack's second frame may be
a guess: the link register's value, which in a function that has called others since it was entered is
its own (`plugin/unwind.h`). So it is left out unless symbols say that it lies in another function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pocwatch.sanitizer.findings import Frame
from pocwatch.sanitizer.locate import Locator, Where
from pocwatch.trace import records
from pocwatch.trace.records import NO_ADDRESS

_INSTRUCTION = 4  # bytes


def where(frame: records.Frame) -> Where:
    """Return where a frame's instruction, or what it returns to, is."""
    vm = frame.pc_ipa != NO_ADDRESS
    return Where(frame.pc, frame.pc_pa, frame.pc_ipa, vm, frame.el == 0)


def function(symbol: str | None) -> str | None:
    """Return the function of `name+0xoffset`; parts that a compiler split off are the function's."""
    return None if symbol is None else symbol.split("+")[0].split(".")[0]


@dataclass(frozen=True, slots=True)
class Stacks:
    """The frames of a run, by number."""

    locator: Locator
    frames: Sequence[records.Frame] = ()
    _named: dict[tuple[int, bool], Frame] = field(default_factory=dict)

    def of(self, number: int, at: Where | None = None) -> tuple[Frame, ...]:
        """Return a stack, innermost frame first, none for 0.

        `at` is where its innermost frame is, if that is known better.
        """
        raw = list(self._chain(number))
        if not raw:
            return ()
        first = self._frame(number, raw[0], outer=False) if at is None else self._at(at)
        rest = [self._frame(n, f, outer=True) for n, f in self._numbered(number)][1:]
        if rest and raw[1].link and not _differ(first, rest[0]):
            del rest[0]
        return (first, *rest)

    def _numbered(self, number: int) -> Iterator[tuple[int, records.Frame]]:
        while 0 < number <= len(self.frames):
            frame = self.frames[number - 1]
            yield number, frame
            number = min(frame.caller, number - 1)  # callers come first: no going in circles

    def _chain(self, number: int) -> Iterator[records.Frame]:
        return (frame for _, frame in self._numbered(number))

    def _frame(self, number: int, raw: records.Frame, *, outer: bool) -> Frame:
        found = self._named.get((number, outer))
        if found is None:
            found = self._returning(where(raw)) if outer else self._at(where(raw))
            self._named[number, outer] = found
        return found

    def _at(self, place: Where) -> Frame:
        return Frame(place.pc, self.locator.symbol(place), self.locator.source(place))

    def _returning(self, place: Where) -> Frame:
        call = place.moved(-_INSTRUCTION)
        symbol = self.locator.symbol(call)
        if symbol is not None:
            name, _, offset = symbol.partition("+")
            symbol = f"{name}+{int(offset or '0', 16) + _INSTRUCTION:#x}"
        return Frame(place.pc, symbol, self.locator.source(call))


def _differ(one: Frame, other: Frame) -> bool:
    names = function(one.symbol), function(other.symbol)
    return None not in names and names[0] != names[1]
