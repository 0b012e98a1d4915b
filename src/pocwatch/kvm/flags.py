"""How agents of a scenario wait for each other: flags, raised once, by hypercall, doorbell or ioctl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocwatch.arch.ops import Op
from pocwatch.kvm import lines
from pocwatch.kvm.scenario import Role
from pocwatch.kvm.state import Action, State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System

Moves = Iterator[tuple[Action, State, bool]]


@dataclass(frozen=True, slots=True)
class _Signal:
    flag: str

    def moves(self, system: System, state: State, agent: int) -> Moves:
        raised = state._replace(flags=state.flags | {self.flag})
        yield Action(system.names[agent], f"tells: {self.flag}"), raised, True


@dataclass(frozen=True, slots=True)
class _Wait:
    flag: str

    def moves(self, system: System, state: State, agent: int) -> Moves:
        if self.flag not in state.flags:
            return
        event = f"learns: {self.flag}"
        if system.agents[agent].role is Role.VCPU:  # as software does that waits for new code
            isb = lines.step(Op.ISB, system.pe(state, agent))
            action, state = system.act_on_all(state, agent, event, "", isb)
            yield action, state, True
        else:
            yield Action(system.names[agent], event), state, True


def signal(flag: str) -> _Signal:
    """Raise a flag."""
    return _Signal(flag)


def wait(flag: str) -> _Wait:
    """Wait for a flag; a guest then executes an ISB."""
    return _Wait(flag)
