"""Words of `pocwatch line`: steps such as `P0 st wb +8`, parsed and written back.

A step is `AGENT OP [KIND] [+OFFSET]`; steps are separated by `;` or new lines, `#` starts a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pocwatch.arch.ops import BY_SPELLING, Kind, Op

MAX_PE = 63


class WordError(ValueError):
    """A malformed word; the message names the step, the value and what is accepted."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a word. `agent` is the PE's or device's number; `coherent` is for DMA only."""

    op: Op
    agent: int
    device: bool = False
    kind: Kind | None = None
    coherent: bool | None = None
    offset: int = 0

    def __str__(self) -> str:
        words = [f"{'D' if self.device else 'P'}{self.agent}", self.op.spelling]
        if self.kind is not None:
            words.append(self.kind.name.lower())
        if self.coherent is not None:
            words.append("coherent" if self.coherent else "noncoherent")
        if self.offset:
            words.append(f"+{self.offset}")
        return " ".join(words)


_KINDS: dict[Op, tuple[str, ...]] = {
    Op.LD: ("wb", "wt", "nc", "dev"),
    Op.ST: ("wb", "wt", "nc", "dev"),
    Op.TW: ("wb", "wt", "nc", "dev"),
    Op.IF: ("wb", "nc"),
    Op.DMA_RD: ("coherent", "noncoherent"),
    Op.DMA_WR: ("coherent", "noncoherent"),
}
_SECOND_WORDS = {
    first: tuple(s.split()[1] for s in BY_SPELLING if s.startswith(first + " "))
    for first in ("dc", "ic", "outer", "mmu")
}
_FIRST_WORDS = (*(s for s in BY_SPELLING if " " not in s), *_SECOND_WORDS)


def parse(text: str, *, line_bytes: int = 64) -> tuple[Step, ...]:
    """Return the steps of a word. Raises WordError."""
    steps: list[Step] = []
    for line in text.splitlines():
        for piece in line.split("#", 1)[0].split(";"):
            if piece.strip():
                steps.append(_step(piece.split(), f"step {len(steps)} {piece.strip()!r}", line_bytes))
    if not steps:
        raise WordError("the word is empty: it takes steps such as 'P0 st wb; P1 ld dev'")
    return tuple(steps)


def _step(words: list[str], where: str, line_bytes: int) -> Step:
    agent = re.fullmatch(r"([PD])([0-9]{1,4})", words[0])
    if not agent or int(agent[2]) > MAX_PE:
        raise WordError(
            f"{where}: agent is {words[0]!r}: accepted are P0 to P{MAX_PE} (PEs) and "
            f"D0 to D{MAX_PE} (devices)"
        )
    device = agent[1] == "D"
    if len(words) < 2 or words[1] not in _FIRST_WORDS:
        raise WordError(
            f"{where}: operation is {words[1] if len(words) > 1 else ''!r}: "
            f"accepted are {', '.join(_FIRST_WORDS)}"
        )
    rest = words[2:]
    spelling = words[1]
    if spelling in _SECOND_WORDS:
        second = rest.pop(0) if rest else ""
        if second not in _SECOND_WORDS[spelling]:
            raise WordError(
                f"{where}: {spelling!r} is followed by {second!r}: "
                f"accepted are {', '.join(_SECOND_WORDS[spelling])}"
            )
        spelling = f"{spelling} {second}"
    op = BY_SPELLING[spelling]
    if device and op not in (Op.DMA_RD, Op.DMA_WR):
        raise WordError(f"{where}: a device does {spelling!r}: accepted are rd, wr")
    if not device and op in (Op.DMA_RD, Op.DMA_WR):
        raise WordError(f"{where}: a PE does {spelling!r}: rd and wr are of devices (D0)")
    kind: Kind | None = None
    coherent: bool | None = None
    if op in _KINDS:
        value = rest.pop(0) if rest else ""
        if value not in _KINDS[op]:
            raise WordError(
                f"{where}: kind of {spelling!r} is {value!r}: accepted are {', '.join(_KINDS[op])}"
            )
        if device:
            coherent = value == "coherent"
        else:
            kind = Kind[value.upper()]
    offset = 0
    if rest and rest[0].startswith("+"):
        value = rest.pop(0)[1:]
        if not re.fullmatch(r"[0-9]{1,4}", value) or int(value) >= line_bytes:
            raise WordError(
                f"{where}: offset is '+{value}': accepted are +0 to +{line_bytes - 1}"
            )
        offset = int(value)
    if rest:
        raise WordError(f"{where}: {' '.join(rest)!r} is left over")
    return Step(op, int(agent[2]), device, kind, coherent, offset)
