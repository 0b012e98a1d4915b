"""Going through a model by hand: which steps there are, and where one leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pocwatch.kvm.state import Action, State
from pocwatch.kvm.system import System


def start(system: System) -> State:
    """Return the only initial state."""
    (state,) = system.initial()
    return state


def steps(system: System, state: State) -> dict[str, State]:
    """Return what may happen now, as `agent: event`, and what it leads to; the first of equal ones."""
    found: dict[str, State] = {}
    for action, after in system.actions(state):
        found.setdefault(f"{action.agent}: {action.event}", after)
    return found


def follow(system: System, state: State, *events: str) -> State:
    """Return the state after steps named by the beginnings of `agent: event`."""
    for event in events:
        possible = steps(system, state)
        fitting = [name for name in possible if name.startswith(event)]
        assert len(fitting) == 1, f"{event!r}: {fitting} of {list(possible)}"
        state = possible[fitting[0]]
    return state


def transitions(system: System) -> Iterator[tuple[State, Action, State]]:
    """Yield every step that the model can take, each once."""
    seen = dict.fromkeys(system.initial())
    queue = list(seen)
    for state in queue:  # grows while it is walked
        for action, after in system.actions(state):
            yield state, action, after
            if after not in seen:
                seen[after] = None
                queue.append(after)


def reach(system: System, wanted: Callable[[State], bool]) -> State:
    """Return the first state, breadth first, that is as wanted."""
    initial = start(system)
    if wanted(initial):
        return initial
    return next(after for _, _, after in transitions(system) if wanted(after))
