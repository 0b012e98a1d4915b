"""A counterexample gone through again, with the states between its actions and the hooks it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pocwatch.kvm.state import Action, State
from pocwatch.kvm.system import System


@dataclass(frozen=True, slots=True)
class Stage:
    """An action, and the state it leads to. `expected`: its index in the trace, None if inserted."""

    action: Action
    after: State
    expected: int | None


def replay(
    system: System, trace: Sequence[Action], inserted: Callable[[Action], bool] | None = None
) -> tuple[Stage, ...] | None:
    """Return the stages of a trace; None if the system does not do it.

    Actions count as the same if agent, event, reason and verdict are. With `inserted`, actions that it
    says yes to may come between, and the last, a read, may be fresh and then told otherwise.
    """
    states = [next(system.initial())]
    path: list[Stage] = []

    def is_meant(action: Action, at: int) -> bool:
        wanted = trace[at]
        if inserted is not None and at == len(trace) - 1 and action.read is not None:
            said, meant = action.event.split()[0], wanted.event.split()[0]
            return (action.agent, said, action.why) == (wanted.agent, meant, wanted.why)
        return action[:3] == wanted[:3] and action.read == wanted.read

    def follow(at: int) -> bool:
        if at == len(trace):
            return True
        successors = list(system.actions(states[-1]))
        steps: list[tuple[Action, State, int | None]] = [
            (action, state, at) for action, state in successors if is_meant(action, at)
        ]
        if inserted is not None:
            steps += [(action, state, None) for action, state in successors if inserted(action)]
        for action, after, expected in steps:
            states.append(after)
            path.append(Stage(action, after, expected))
            if follow(at + (expected is not None)):
                return True
            states.pop()
            path.pop()
        return False

    return tuple(path) if follow(0) else None
