"""Graphs made small have the same runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pocwatch.kvm.export.graph import Arc, smallest

ARCS = st.lists(
    st.builds(
        Arc,
        at=st.integers(0, 5),
        does=st.sampled_from(["a", "b", None]),
        to=st.integers(0, 5),
        notes=st.sampled_from([("x",), ("y",), ()]),
    ),
    max_size=12,
)


def runs(arcs: tuple[Arc[str], ...], length: int) -> set[tuple[str, ...]]:
    """All that may be done from place 0, up to a length: by walking, nothing clever."""
    found: set[tuple[str, ...]] = set()
    seen = {(0, ())}
    todo: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while todo:
        at, run = todo.pop()
        found.add(run)
        for arc in arcs:
            after = (arc.to, run if arc.does is None else (*run, arc.does))
            if arc.at == at and len(after[1]) <= length and after not in seen:
                seen.add(after)
                todo.append(after)
    return found


@given(ARCS)
def test_the_runs_are_the_same(arcs: list[Arc[str]]) -> None:
    small = smallest(arcs)
    assert runs(small, 6) == runs(tuple(arcs), 6)
    assert smallest(small) == small
    assert all(arc.does is not None for arc in small)
    assert len({(arc.at, arc.does) for arc in small}) == len(small)


def test_equal_places_are_one_and_notes_are_kept() -> None:
    arcs = [
        Arc(0, None, 1, ("goes left",)),
        Arc(0, None, 2),
        Arc(1, "a", 3, ("left",)),
        Arc(2, "a", 4, ("right",)),
        Arc(3, "b", 3),
        Arc(4, "b", 3),
    ]
    assert smallest(arcs) == (Arc(0, "a", 1, ("left", "right")), Arc(1, "b", 1))
    assert smallest([]) == ()
