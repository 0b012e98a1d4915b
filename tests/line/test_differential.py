"""One model, several implementations, random words: every verdict at every step must agree.

`model.Cell` (literal) against `pending.PendingCell` (the table), state by state: after each step all
reads there are are compared, not only those that the word does. Pairs of states are kept, so words
with a prefix in common pay for it once. Then whole lines with their instruction side against
`oracle`, which shares no code with `src`.

Words come from Hypothesis with a fixed seed; POCWATCH_SEED=n chooses another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

import oracle
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from verdicts import by_model, by_table

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.line import pending
from pocwatch.line.line import step_cell
from pocwatch.line.model import Cell, Configuration, Pending
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import Step, parse
from pocwatch.platforms import Platform

T = TypeVar("T")
SEED = int(os.environ.get("POCWATCH_SEED", "2013"))
ALL = platforms.names()

WORDS_PER_EXAMPLE = 40
SHORT_EXAMPLES = 340  # 13,600 words of up to 7 steps per platform
LONG_EXAMPLES = 12  # 480 words of 10 steps per platform
LINE_EXAMPLES = 25  # 1,000 words of 10 steps per platform, and as many without Hypothesis
DISTINCT_WORDS_PER_PLATFORM = 12_500  # of the short ones: 100,000 and more in all

# Operations on the line, and how often each is drawn for a PE: maintenance is what differs.
DRAWN = {
    "st wb": 4, "st wb +8": 1, "st nc": 3, "st nc +8": 1, "st dev": 1, "st wt": 2, "dc zva": 1,
    "ld wb": 2, "ld wb +8": 1, "ld nc": 1, "ld dev": 1, "ld wt": 1, "tw wb": 1, "tw nc": 1,
    "dc cvac": 3, "dc cvap": 1, "dc cvau": 3, "dc civac": 3, "dc ivac": 4,
    "dc csw": 2, "dc cisw": 2, "dc isw": 3,
    "dmb": 3, "dsb": 4, "mmu off": 2, "mmu on": 1,
}  # fmt: skip
DEVICE_STEPS = (
    "D0 wr coherent", "D0 wr coherent +8", "D0 wr noncoherent", "D0 wr noncoherent",
    "D0 rd coherent", "D0 rd noncoherent",
    "P0 outer clean", "P0 outer inv", "P0 outer flush",
)  # fmt: skip


def drawn_steps(pes: Sequence[str]) -> list[str]:
    """The steps to draw from, the frequent ones several times."""
    of_pes = [f"{pe} {op}" for pe in pes for op, times in DRAWN.items() for _ in range(times)]
    return [*of_pes, *DEVICE_STEPS]


def steps_of(texts: Iterable[str]) -> list[Step]:
    return [parse(text)[0] for text in texts]


class Pair:
    """Cells after the same word by both implementations, and the pairs that steps lead to."""

    def __init__(self, literal: Cell, table: PendingCell) -> None:
        self.literal = literal
        self.table = table
        self.after: dict[Step, Pair] = {}


class Pairs:
    """All pairs met so far for a platform. A pair is compared once, when it is first met."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.known: dict[tuple[Cell, PendingCell], Pair] = {}
        self.configurations: dict[Configuration, Configuration] = {}
        self.start = self._pair(
            Cell.initial(platform), PendingCell.initial(automaton_of(platform))
        )

    def _pair(self, literal: Cell, table: PendingCell) -> Pair:
        found = self.known.get((literal, table))
        if found is None:
            self.compare(literal, table)
            shared = frozenset(
                self.configurations.setdefault(c, c) for c in literal.configurations
            )
            found = Pair(replace(literal, configurations=shared), table)
            self.known[found.literal, table] = found
        return found

    def compare(self, literal: Cell, table: PendingCell) -> None:
        pou = self.platform.pou
        for kind in Kind:
            assert literal.reads(kind) == table.reads(kind), f"read {kind.name}"
        for kind in (Kind.WB, Kind.NC):
            assert literal.fetch_source(kind, pou) == table.fetch_source(kind, pou), (
                f"fetch {kind.name}"
            )

    def step(self, pair: Pair, step: Step) -> Pair:
        if step not in pair.after:
            own = step.offset == 0
            pair.after[step] = self._pair(
                step_cell(pair.literal, step, own=own), step_cell(pair.table, step, own=own)
            )
        return pair.after[step]

    def walk(self, pair: Pair, word: Iterable[Step]) -> Pair:
        for step in word:
            pair = self.step(pair, step)
        return pair


def quietly(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def lists(steps: Sequence[Step], least: int, most: int) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.sampled_from(steps), min_size=least, max_size=most)


def bunches(words: st.SearchStrategy[list[T]]) -> st.SearchStrategy[list[list[T]]]:
    """Different words. (Left alone, Hypothesis likes to repeat itself: one word in five was new.)"""
    size = WORDS_PER_EXAMPLE
    return st.lists(words, min_size=size, max_size=size, unique_by=tuple)


# --- Literal model and table ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_short_words(name: str) -> None:
    """Words of up to 7 steps of three PEs and a device; those of an example share a beginning."""
    print(f"seed {SEED}")
    pairs = Pairs(platforms.load(name))
    steps = steps_of([*drawn_steps(("P0", "P0", "P1")), "P2 dc ivac", "P2 dc civac", "P2 dsb"])
    words: set[tuple[Step, ...]] = set()
    tails = bunches(lists(steps, 2, 4))

    @seed(SEED)
    @quietly(SHORT_EXAMPLES)
    @given(beginning=lists(steps, 1, 3), ends=tails)
    def agree(beginning: list[Step], ends: list[list[Step]]) -> None:
        pair = pairs.walk(pairs.start, beginning)
        for end in ends:
            pairs.walk(pair, end)
            words.add((*beginning, *end))

    agree()
    print(f"{len(words)} different words, {len(pairs.known)} pairs of states")
    assert len(words) >= DISTINCT_WORDS_PER_PLATFORM


def test_there_are_enough_words() -> None:
    assert DISTINCT_WORDS_PER_PLATFORM * len(ALL) >= 100_000


@pytest.mark.parametrize("name", ALL)
def test_long_words(name: str) -> None:
    """Words of 10 steps."""
    print(f"seed {SEED}")
    pairs = Pairs(platforms.load(name))
    steps = steps_of(drawn_steps(("P0", "P0", "P1")))
    words: set[tuple[Step, ...]] = set()
    tails = bunches(lists(steps, 7, 7))

    @seed(SEED)
    @quietly(LONG_EXAMPLES)
    @given(beginning=lists(steps, 3, 3), ends=tails)
    def agree(beginning: list[Step], ends: list[list[Step]]) -> None:
        pair = pairs.walk(pairs.start, beginning)
        for end in ends:
            pairs.walk(pair, end)
            words.add((*beginning, *end))

    agree()
    print(f"{len(words)} different words, {len(pairs.known)} pairs of states")
    assert len(words) >= LONG_EXAMPLES * WORDS_PER_EXAMPLE // 2


SMALL_SCOPE = (
    "P0 st wb", "P0 st nc", "P0 st wb +8", "P0 ld wb", "P0 dc cvac", "P0 dc cvau", "P0 dc ivac",
    "P0 dmb", "P0 dsb", "P1 st wb", "P1 dc civac", "P1 dc isw", "P1 dsb", "P0 mmu off", "P1 mmu off",
    "P1 mmu on",
)  # fmt: skip


@pytest.mark.parametrize("name", ["cortex-a57-up", "xgene-l3-up"])
def test_all_small_words(name: str) -> None:
    """All 69,904 words of 1 to 4 steps of the alphabet. Two PEs, so that both can be off."""
    platform = platforms.load(name)
    pairs = Pairs(platform)
    start = pairs._pair(
        Cell.initial(platform, 2), PendingCell.initial(automaton_of(platform), 2)
    )
    steps = steps_of(SMALL_SCOPE)
    level = {id(start): (start, 1)}  # pairs, and how many words lead there
    words = 0
    for _ in range(4):
        following: dict[int, tuple[Pair, int]] = {}
        for pair, times in level.values():
            for step in steps:
                after = pairs.step(pair, step)
                following[id(after)] = (after, following.get(id(after), (after, 0))[1] + times)
        level = following
        words += sum(times for _, times in level.values())
    assert words == sum(len(SMALL_SCOPE) ** length for length in (1, 2, 3, 4)) == 69_904


# --- The normal form of queues -------------------------------------------------------------------


class PlainCell(PendingCell):
    """The table with queues as they are issued: no normal form."""

    __slots__ = ()

    def issue(self, pe: int, op: Op) -> PlainCell:
        issued = frozenset(
            b.with_queue(pe, (*b.queue(pe), Pending(op, False))) for b in self.branches
        )
        if pe in self.uncached_stores:
            issued |= self.branches
        return replace(self, branches=issued)._settled()

    def dmb(self, pe: int) -> PlainCell:
        branches = frozenset(
            b.with_queue(pe, tuple(Pending(p.op, True) for p in b.queue(pe)))
            for b in self.branches
        )
        return replace(self, branches=branches, uncached_stores=self.uncached_stores - {pe})


QUEUE_STEPS = [
    *(f"P0 dc {op}" for op in ("cvac", "cvau", "civac", "ivac", "csw", "cisw", "isw") * 2),
    "P0 dmb", "P0 dmb", "P0 dsb", "P0 st nc", "P0 ld nc", "P0 ld wb", "P0 st wb +8",
    "P1 st wb", "P1 st wb", "P1 st nc", "P1 st wb +8", "P1 ld wb",
    "P1 dc cvac", "P1 dc ivac", "P1 dc cvau", "P1 dsb", "P1 dsb",
    "P0 mmu off", "P1 mmu off", "P1 mmu on", "P0 outer clean", "P0 outer inv",
    "D0 wr coherent", "D0 wr noncoherent",
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_what_the_normal_form_leaves_out_adds_nothing(name: str) -> None:
    """Long queues on the table, in normal form and as issued."""
    automaton = automaton_of(platforms.load(name))
    steps = steps_of(QUEUE_STEPS)
    tails = st.lists(lists(steps, 6, 10), min_size=10, max_size=10)

    @seed(SEED)
    @quietly(60)
    @given(words=tails)
    def agree(words: list[list[Step]]) -> None:
        for word in words:
            normal: PendingCell = PendingCell.initial(automaton, 2)
            plain: PendingCell = PlainCell(automaton, normal.branches, pes=2)
            for step in word:
                normal = step_cell(normal, step, own=step.offset == 0)
                plain = step_cell(plain, step, own=step.offset == 0)
                for kind in Kind:
                    assert normal.reads(kind) == plain.reads(kind), (kind, word)
                    # What the issuer itself would read.
                    own = normal.load(0, kind).reads(kind)
                    assert own == plain.load(0, kind).reads(kind), (kind, word)

    agree()


# --- Whole lines, against the oracle --------------------------------------------------------------

LINE_STEPS = [
    *drawn_steps(("P0", "P0", "P1")),
    *(
        f"{pe} {op}"
        for pe in ("P0", "P1")
        for op in (
            "if wb", "if wb", "if wb", "if nc", "if nc", "if wb +4", "if nc +8",
            "ic ivau", "ic ivau", "ic iallu", "ic iallu", "ic ialluis",
            "isb", "isb", "isb", "dsb", "dsb", "dsb", "dc cvau", "dc cvac", "st wb",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_lines(name: str) -> None:
    """Words of 10 steps with fetches, at several offsets: table, oracle, and some by the model."""
    print(f"seed {SEED}")
    platform = platforms.load(name)
    words: set[str] = set()
    words_of_ten = st.lists(st.sampled_from(LINE_STEPS), min_size=10, max_size=10)

    @seed(SEED)
    @quietly(LINE_EXAMPLES)
    @given(bunch=bunches(words_of_ten))
    def agree(bunch: list[list[str]]) -> None:
        for number, steps in enumerate(bunch):
            word = "; ".join(steps)
            words.add(word)
            expected = oracle.verdicts(platform, word)
            assert by_table(platform, word) == expected, word
            if number < 2:
                assert by_model(platform, word) == expected, word

    agree()
    assert len(words) >= LINE_EXAMPLES * WORDS_PER_EXAMPLE * 9 // 10


@pytest.mark.parametrize("name", ALL)
def test_uniform_lines(name: str) -> None:
    """Words of 10 steps with every step as likely: Hypothesis likes repetition."""
    platform = platforms.load(name)
    random = Random(f"{SEED} {name}")
    for _ in range(LINE_EXAMPLES * WORDS_PER_EXAMPLE):
        word = "; ".join(random.choices(LINE_STEPS, k=10))
        assert by_table(platform, word) == oracle.verdicts(platform, word), word


def test_the_comparison_notices_a_wrong_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded mistake: any clean is taken to make up for what is pending before it."""
    monkeypatch.setattr(pending, "supersedes", lambda platform, new, old: True)
    pairs = Pairs(platforms.load("cortex-a57-up"))
    word = parse("P0 st wb; P0 dc cvac; P0 dc cvau; P0 dsb")
    with pytest.raises(AssertionError, match="read"):
        pairs.walk(pairs.start, word)
