"""Models from the literature, small enough to count by hand, and broken twins of some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pocwatch.check.claims import (
    Claim,
    always,
    always_eventually,
    leads_to,
    never_stuck,
    sometimes,
)
from pocwatch.check.symmetry import (
    Interchangeable,
    canonical_by_images,
    canonical_by_sorting,
    canonical_of,
)


class Jugs:
    """Die Hard 3: a small and a big jug; is there a way to measure four gallons?

    States are (small, big).
    """

    claims: Sequence[Claim[Any, Any]] = (
        always("never four gallons", lambda s: s[1] != 4),
        sometimes("both full", lambda s: s == (3, 5)),
    )

    def initial(self) -> list[tuple[int, int]]:
        return [(0, 0)]

    def actions(self, state: tuple[int, int]) -> Iterator[tuple[str, tuple[int, int]]]:
        small, big = state
        yield "fill small", (3, big)
        yield "fill big", (small, 5)
        yield "empty small", (0, big)
        yield "empty big", (small, 0)
        poured = min(small, 5 - big)
        yield "small to big", (small - poured, big + poured)
        poured = min(big, 3 - small)
        yield "big to small", (small + poured, big - poured)


class River:
    """The farmer's wolf, goat and cabbage: a state is who is on the near bank."""

    claims: Sequence[Claim[Any, Any]] = (always("never all across", lambda near: near != ""),)

    def initial(self) -> list[str]:
        return ["CFGW"]

    def actions(self, near: str) -> Iterator[tuple[str, str]]:
        farmer_near = "F" in near
        for load in ("", "C", "G", "W"):
            if load and (load in near) is not farmer_near:
                continue
            moved = set("F" + load)
            after = set(near) - moved if farmer_near else set(near) | moved
            alone = set("CGW") - after if "F" in after else after
            if not {"G", "W"} <= alone and not {"C", "G"} <= alone:
                yield f"cross with {load or 'nothing'}", "".join(sorted(after))


class Peterson:
    """Peterson's mutual exclusion. States are (pc of 0, pc of 1, turn).

    A pc is idle, then (its flag is up) flagged, waiting, critical. Waiting spins: it has a step of its
    own. `Broken` sets its turn before it raises its flag.
    """

    IDLE, FLAGGED, WAITING, CRITICAL = range(4)
    flag_up = frozenset({FLAGGED, WAITING, CRITICAL})

    def __init__(self, fair: Callable[[Any], Any] | None = lambda action: action[0]) -> None:
        self.claims: Sequence[Claim[Any, Any]] = (
            always("mutual exclusion", lambda s: s[:2] != (3, 3)),
            sometimes("0 critical", lambda s: s[0] == 3),
            sometimes("both wait", lambda s: s[:2] == (2, 2)),
            never_stuck("no deadlock"),
            leads_to("waiting gets in", lambda s: s[0] == 2, lambda s: s[0] == 3, fair=fair),
            always_eventually("1 again and again", lambda s: s[1] == 3, fair=fair),
        )

    def initial(self) -> list[tuple[int, int, int]]:
        return [(0, 0, 0)]

    def gives_turn(self, pc: int) -> bool:
        return pc == self.FLAGGED

    def actions(self, state: tuple[int, int, int]) -> Iterator[Any]:
        turn = state[2]
        for me in (0, 1):
            pc, other = state[me], state[1 - me]
            after = (pc + 1) % 4
            if pc == self.WAITING and other in self.flag_up and turn != me:
                after = pc
            new_turn = 1 - me if self.gives_turn(pc) else turn
            pcs = (after, other) if me == 0 else (other, after)
            yield (me, pc), (*pcs, new_turn)


class BrokenPeterson(Peterson):
    """The flag goes up with the second step, after the turn was given."""

    flag_up = frozenset({Peterson.WAITING, Peterson.CRITICAL})

    def gives_turn(self, pc: int) -> bool:
        return pc == self.IDLE


class Philosophers:
    """Dining philosophers who take the left fork first. Of each: 0 thinks, 1 has the left, 2 eats."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.claims: Sequence[Claim[Any, Any]] = (never_stuck("no deadlock"),)

    def initial(self) -> list[tuple[int, ...]]:
        return [(0,) * self.count]

    def actions(self, state: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
        for i, does in enumerate(state):
            left, right = state[i - 1], state[(i + 1) % self.count]
            if (does == 0 and left != 2) or (does == 1 and right == 0) or does == 2:
                yield i, (*state[:i], (does + 1) % 3, *state[i + 1 :])


class RoundTable(Philosophers):
    """The same, turned as one likes."""

    canonical = staticmethod(
        canonical_by_images(lambda s: [(*s[i:], *s[:i]) for i in range(len(s))])
    )


class Counters:
    """`count` counters modulo `modulus`."""

    def __init__(self, count: int, modulus: int, claims: Sequence[Claim[Any, Any]] = ()) -> None:
        self.count = count
        self.modulus = modulus
        self.claims = claims

    def initial(self) -> list[tuple[int, ...]]:
        return [(0,) * self.count]

    def actions(self, state: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
        for i, value in enumerate(state):
            yield i, (*state[:i], (value + 1) % self.modulus, *state[i + 1 :])


class SortedCounters(Counters):
    canonical = staticmethod(canonical_by_sorting(lambda s: ((), s), lambda _, parts: parts))


class TwoPhaseCommit:
    """Gray and Lamport's transaction commit, as the TLA+ and stateright examples have it.

    A state is (manager, of each resource manager: (what it is, has the manager its vote, is its vote
    sent), decision messages).
    """

    claims: Sequence[Claim[Any, Any]] = (
        always("consistent", lambda s: not {"aborted", "committed"} <= {rm[0] for rm in s[1]}),
        sometimes("all commit", lambda s: {rm[0] for rm in s[1]} == {"committed"}),
        sometimes("all abort", lambda s: {rm[0] for rm in s[1]} == {"aborted"}),
    )

    def __init__(self, count: int) -> None:
        self.count = count

    def initial(self) -> list[Any]:
        return [("init", (("working", False, False),) * self.count, "")]

    def actions(self, state: Any) -> Iterator[Any]:
        manager, rms, sent = state
        if manager == "init":
            if all(voted for _, voted, _ in rms):
                yield "decide commit", ("committed", rms, "C")
            yield "decide abort", ("aborted", rms, "A")
        for i, (what, voted, vote_sent) in enumerate(rms):

            def become(*rm: Any, i: int = i) -> Any:
                return (manager, (*rms[:i], rm, *rms[i + 1 :]), sent)

            if manager == "init" and vote_sent:
                yield ("receive vote", i), become(what, True, vote_sent)
            if what == "working":
                yield ("prepare", i), become("prepared", voted, True)
                yield ("give up", i), become("aborted", voted, vote_sent)
            if sent == "C":
                yield ("commit", i), become("committed", voted, vote_sent)
            if sent == "A":
                yield ("abort", i), become("aborted", voted, vote_sent)


class SymmetricTwoPhaseCommit(TwoPhaseCommit):
    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.canonical = canonical_of(
            Interchangeable(
                count,
                permute=lambda s, order: (s[0], tuple(s[1][i] for i in order), s[2]),
                key=lambda s, i: s[1][i],
            )
        )
