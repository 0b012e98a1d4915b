"""SPIN and rumur, given the exported text, say what all interleavings of the literal model say.

rumur must also count exactly the states that pocwatch's own checker counts over the same caches: the text
is the same transition system, not only one of the same verdicts.
"""

from __future__ import annotations

import functools
from pathlib import Path
from random import Random

import pytest
import rumur_driver
import spin_driver
from interleavings import may_be_stale
from measured import Limits, Said

from pocwatch import platforms
from pocwatch.check.result import Verdict
from pocwatch.check.search import Symmetry, check
from pocwatch.kvm.export.concrete import Do, Instruction, Program, Set, Wait, do, judge, straight
from pocwatch.kvm.export.murphi import murphi
from pocwatch.kvm.export.promela import promela
from pocwatch.kvm.export.question import Order, question
from pocwatch.kvm.export.semantics import System
from pocwatch.kvm.export.stepwise import Stepwise
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import parse

LIMITS = Limits(seconds=60, memory_mib=2048)
NAMES = ("cortex-a57", "cortex-a57-up", "xgene-l3", "l2x0-up")
PROGRAMS = 12
MOST_STATES = 40_000

needs_spin = pytest.mark.skipif(
    spin_driver.absent() is not None, reason=spin_driver.absent() or ""
)
needs_rumur = pytest.mark.skipif(
    rumur_driver.absent() is not None, reason=rumur_driver.absent() or ""
)

STEPS = (
    *("st wb", "st wb", "st wb +8", "st nc", "st wt", "ld wb", "ld nc", "tw wb", "dc zva"),
    *("dc cvac", "dc cvac", "dc cvau", "dc civac", "dc civac", "dc ivac", "dc isw", "dc cisw"),
    *("dmb", "dsb", "dsb", "dsb", "mmu off", "outer clean", "outer inv"),
)
READS = ("ld wb", "ld nc", "ld dev", "ld wt", "tw wb", "tw nc", "ld nc +8")


def random_program(random: Random) -> Program:
    """Two PEs on one or two lines; P1 mostly waits for P0; two reads are judged."""
    lines = random.choice((1, 1, 2))
    first: list[Instruction] = []
    for text in random.choices(STEPS, k=random.randint(2, 4)):
        first += do(f"P0 {text}", [random.randrange(lines)])
    first.append(Set(0))
    first += judge(f"P0 {random.choice(READS)}", [random.randrange(lines)])
    second: list[Instruction] = [Wait(0)] if random.random() < 0.7 else []
    for text in random.choices(STEPS, k=random.randint(0, 2)):
        second += do(f"P1 {text}", [random.randrange(lines)])
    second += judge(f"P1 {random.choice(READS)}", [random.randrange(lines)])
    threads = (straight("first", tuple(first)), straight("second", tuple(second)))
    platform = platforms.load(random.choice(NAMES))
    return Program("random", platform, threads, lines, pes=2)


# What random programs seldom do, stale and fresh: platform, then a thread each; `?` is a judged read.
WRITTEN = (
    # all PEs off: nothing refills what was invalidated; then one is on again
    (
        "cortex-a57",
        "P0 mmu off; wait 1; P0 dc civac; P0 dsb; set 0",
        "P1 mmu off; set 1; wait 0; P1 st nc; P1 ld wb?",
    ),
    ("cortex-a57", "P0 mmu off; P0 ld wb; set 0", "P1 mmu off; wait 0; P1 st nc; P1 ld wb?"),
    ("cortex-a57", "P0 mmu off; P0 dc civac; P0 dsb; P0 mmu on", "P1 mmu off; P1 st nc; P1 ld wb?"),
    # maintenance that a DMB orders, and that an earlier store around the caches does not
    ("cortex-a57", "P0 st wb; P0 dc cvac; P0 dmb; P0 ld nc?", "P1 ld wb"),
    ("cortex-a57", "P0 st wb; P0 dc cvac; P0 ld nc?", "P1 ld wb"),
    ("cortex-a57", "P0 ld wb; P0 st nc; P0 dc civac; P0 dsb; P0 ld wb?", "P1 ld nc"),
    ("cortex-a57", "P0 ld wb; P0 st nc; P0 dmb; P0 dc civac; P0 dsb; P0 ld wb?", "P1 ld nc"),
    # devices, and queues of two PEs on one line
    ("xgene-l3", "D0 wr coherent; set 0", "wait 0; P1 dc civac; P1 dsb; P1 ld dev?; P1 ld wb?"),
    ("l2x0-up", "P0 st wb; P0 dc cvac; P0 dsb; P0 outer clean; set 0", "wait 0; D0 rd noncoherent?"),
    ("cortex-a57", "P0 st wb; P0 dc ivac; set 0", "P1 dc cvac; P1 dsb; wait 0; P1 ld nc?"),
)  # fmt: skip


def written_program(platform: str, *threads: str) -> Program:
    def instruction(text: str) -> Instruction:
        word, _, number = text.partition(" ")
        if word in ("set", "wait"):
            return (Set if word == "set" else Wait)(int(number))
        return Do(parse(text.rstrip("?"))[0], judged=text.endswith("?"))

    made = tuple(
        straight(f"t{n}", tuple(instruction(text.strip()) for text in thread.split(";")))
        for n, thread in enumerate(threads)
    )
    return Program("written", platforms.load(platform), made, pes=2)


@functools.cache
def programs() -> tuple[Program, ...]:
    """Written ones, then random ones, half of them stale, none too big for the slow reference."""
    random = Random(2013)
    wanted = {True: PROGRAMS // 2, False: PROGRAMS // 2}
    found = [written_program(*words) for words in WRITTEN]
    while any(wanted.values()):
        program = random_program(random)
        stale = may_be_stale(program)
        if wanted[stale] and check(Stepwise(program), max_states=MOST_STATES).depth > 3:
            wanted[stale] -= 1
            found.append(program)
    return tuple(found)


def text_of(program: Program) -> str:
    """A program in the words of `pocwatch line`, for a failing test."""
    return "\n".join(
        f"{thread.name}: {'; '.join(map(str, thread.instructions))}" for thread in program.threads
    )


@needs_spin
@pytest.mark.parametrize("number", range(len(WRITTEN) + PROGRAMS))
def test_spin_says_what_the_model_says(number: int, tmp_path: Path) -> None:
    program = programs()[number]
    said = spin_driver.verify(
        promela(program), tmp_path, "depth first", program.lines, LIMITS, "-O0"
    )
    wanted = Said.STALE if may_be_stale(program) else Said.PROVED
    assert said.said is wanted, text_of(program)


@needs_rumur
@pytest.mark.parametrize("number", range(len(WRITTEN) + PROGRAMS))
def test_rumur_says_what_the_model_says_and_counts_as_we_do(number: int, tmp_path: Path) -> None:
    program = programs()[number]
    said = rumur_driver.verify(
        murphi(program), tmp_path, "breadth first", program.lines, LIMITS, "-O0"
    )
    wanted = Said.STALE if may_be_stale(program) else Said.PROVED
    assert said.said is wanted, text_of(program)
    own = check(Stepwise(program), symmetry=Symmetry.IGNORED)
    if wanted is Said.PROVED:
        assert (said.states, own.verdict) == (own.states, Verdict.HOLDS), text_of(program)
    else:
        assert own.trace is not None
        assert said.trace == len(own.trace), text_of(program)  # both search breadth first


def test_our_models_say_what_the_model_says() -> None:
    """Over the table; many more programs, as they cost no compiler."""
    random = Random(8)
    said = []
    for _ in range(300):
        program = random_program(random)
        cell = PendingCell.initial(automaton_of(program.platform), program.pes)
        found = check(System(program, cell)).verdict is Verdict.VIOLATED
        assert found == may_be_stale(program), text_of(program)
        by_line = [check(System(program.of_line(n), cell)) for n in range(program.lines)]
        assert found == any(c.verdict is Verdict.VIOLATED for c in by_line), text_of(program)
        said.append(found)
    assert 60 < sum(said) < 240


def test_written_programs_are_of_both_kinds() -> None:
    """By hand, in the order of the table above."""
    said = [may_be_stale(program) for program in programs()[: len(WRITTEN)]]
    assert said == [False, True, True, False, True, True, False, False, False, True]


@needs_rumur
def test_symmetric_lines_of_the_question(tmp_path: Path) -> None:
    """3,072 states, or 1,580 with two lines exchanged: (3,072 + 88 alike) / 2."""
    platform = platforms.load("xgene-l3")
    program = question(platform, 2, clean="dc civac", order=Order.ANY)
    counts = []
    for mode in rumur_driver.MODES:
        folder = tmp_path / mode
        folder.mkdir()
        said = rumur_driver.verify(murphi(program), folder, mode, 2, LIMITS, "-O0")
        assert said.said is Said.PROVED
        counts.append(said.states)
    assert counts == [3072, 1580]


@needs_spin
def test_spin_depth_first_finds_the_missing_clean_of_64_lines(tmp_path: Path) -> None:
    """At once: what a general model checker is good at."""
    text = promela(question(platforms.load("xgene-l3"), 64, clean=None))
    said = spin_driver.verify(text, tmp_path, "depth first", 64, LIMITS, "-O0")
    assert said.said is Said.STALE
    assert said.states is not None
    assert said.states < 1000


def test_the_comparison_sees_a_difference() -> None:
    """A seeded mistake: without the last DSB the guest may read before the clean has acted."""
    program = question(platforms.load("xgene-l3"), 1, clean="dc civac")
    host, guest = program.threads
    hasty = tuple(i for i in host.instructions if not (isinstance(i, Do) and "dsb" in str(i.step)))
    broken = Program("hasty", program.platform, (straight("host", hasty), guest))
    assert (may_be_stale(program), may_be_stale(broken)) == (False, True)


@needs_rumur
def test_the_count_notices_a_wrong_rule(tmp_path: Path) -> None:
    """A seeded mistake: an eviction from the L1D that forgets to pass on its dirty copy."""
    program = question(platforms.load("cortex-a57"), 1, clean="dc civac")
    right = murphi(program)
    rule = "begin c.l1d := ABSENT; c.l2 := LATEST_DIRTY; end;"
    assert right.count(rule) == 1
    wrong = right.replace(rule, "begin c.l1d := ABSENT; end;")
    said = rumur_driver.verify(wrong, tmp_path, "breadth first", 1, LIMITS, "-O0")
    assert said.said is Said.STALE
    assert check(Stepwise(program)).verdict is Verdict.HOLDS
