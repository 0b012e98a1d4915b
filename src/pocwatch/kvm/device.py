"""What a device may do: DMA to guest RAM, snooping the caches or not, and MMIO registers of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocwatch.arch.ops import Op
from pocwatch.kvm import lines
from pocwatch.kvm.flags import Moves
from pocwatch.kvm.state import State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System


def _how(coherent: bool) -> str:
    return "snoops the caches" if coherent else "does not snoop the caches"


@dataclass(frozen=True, slots=True)
class _Dma:
    op: Op
    coherent: bool

    def moves(self, system: System, state: State, agent: int) -> Moves:
        slot = state.slots[system.agents[agent].vm]
        if not slot.exists or not slot.is_resident:
            return
        step = lines.dma(self.op, coherent=self.coherent)
        why = _how(self.coherent)
        if self.op is Op.DMA_RD:
            action, state = system.judge(state, agent, "reads the buffer", why, slot.page, step)
        else:
            action, state = system.act(state, agent, "writes the buffer", why, slot.page, step)
        yield action, state, True


@dataclass(frozen=True, slots=True)
class _Register:
    """The device's own side of its registers: no cache between."""

    op: Op

    def moves(self, system: System, state: State, agent: int) -> Moves:
        step = lines.dma(self.op, coherent=False)
        page = system.MMIO_PAGE
        if self.op is Op.DMA_RD:
            yield *system.judge(state, agent, "looks at its register", "", page, step), True
        else:
            yield *system.act(state, agent, "changes its register", "", page, step), True


def dma_read(*, coherent: bool) -> _Dma:
    """Read the page; judged."""
    return _Dma(Op.DMA_RD, coherent)


def dma_write(*, coherent: bool) -> _Dma:
    """Write the page."""
    return _Dma(Op.DMA_WR, coherent)


def change_register() -> _Register:
    """Give a register another value."""
    return _Register(Op.DMA_WR)


def look_at_register() -> _Register:
    """Act on what the guest wrote to a register; judged."""
    return _Register(Op.DMA_RD)
