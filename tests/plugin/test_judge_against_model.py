"""The compiled judge gives the verdicts of the line model on random words.

What the judge knows it simplifies (docs/warts.md) is put to the model in the same words: `as_judged`.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from judge import SET_WAY, Judge

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.line import calculator
from pocwatch.line.line import CELL_BYTES, INSTRUCTION_BYTES, Line, is_read
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import Step, parse
from pocwatch.platforms import Platform

SEEDS = range(1, 9)
WORDS_PER_SEED = 2_500
MAX_STEPS = 12
MAX_PES = 2

_ANY = (
    "st wb", "st wb +8", "st nc", "st dev +8", "st nc +8", "st wt", "ld wb", "ld nc", "ld wt",
    "ld dev", "ld nc +8", "ld wb +8", "tw wb", "tw nc", "if wb", "if nc", "if wb +4", "dc zva",
    "dc cvac", "dc cvap", "dc cvau", "dc civac", "dc ivac", "dc cvac", "dc civac", "dsb", "dsb",
    "ic ivau", "ic ivau", "ic ialluis", "outer clean", "outer inv", "outer flush", "dmb", "dsb",
    "isb", "mmu on", "mmu off",
)  # fmt: skip
_INSTRUCTION_SIDE = (
    "if wb", "if nc", "if nc +4", "if wb +8", "ic ialluis", "ic ialluis", "ic ivau", "ic iallu",
    "dsb", "dsb", "st wb", "st nc", "dc cvac", "dc cvau", "dc ivac", "mmu on", "mmu off",
)  # fmt: skip
_SET_WAY = ("dc csw", "dc cisw", "dc isw")
_DMA = ("D0 wr coherent", "D0 wr noncoherent", "D0 rd coherent", "D0 rd noncoherent +8")


def _steps(spellings: tuple[str, ...], pe: int) -> tuple[Step, ...]:
    return tuple(parse(f"P{pe} {spelling}")[0] for spelling in spellings)


_ANY_STEP = [_steps(_ANY, pe) for pe in range(MAX_PES)]
_INSTRUCTION_STEP = [_steps(_INSTRUCTION_SIDE, pe) for pe in range(MAX_PES)]
_SET_WAY_STEP = [_steps(_SET_WAY, pe) for pe in range(MAX_PES)]
_DMA_STEP = [parse(spelling)[0] for spelling in _DMA]


def random_words(rng: random.Random, pes: int, n: int) -> Iterator[tuple[Step, ...]]:
    """Yield words of up to `MAX_STEPS`, half of them mostly of the instruction side.

    The platform's PEs are few, so that all can be off.
    """
    for _ in range(n):
        often = _INSTRUCTION_STEP if rng.random() < 0.5 else _ANY_STEP
        steps: list[Step] = []
        for _ in range(rng.randint(1, MAX_STEPS)):
            kind = rng.random()
            pe = rng.randrange(pes)
            if kind < 0.08:
                steps.append(rng.choice(_DMA_STEP))
            elif kind < 0.14:
                steps.append(rng.choice(_SET_WAY_STEP[pe]))
                if kind < 0.11:
                    steps.append(Step(Op.DSB, pe))
            else:
                steps.append(rng.choice((often if kind < 0.6 else _ANY_STEP)[pe]))
        yield tuple(steps)


def as_judged(
    line: Line[PendingCell], step: Step, pes: int, set_way: dict[int, set[Op]]
) -> Iterator[Step]:
    """Yield what a step is for the judge, in steps of the model; `set_way`: what awaits a DSB.

    Set/way operations happen at their PE's DSB. An IC IALLU on one of several PEs is none. The
    instruction side is that of all PEs and of the two instructions of a cell: what one fetch spoils is
    spoilt for all.
    """
    if step.op in SET_WAY:
        set_way.setdefault(step.agent, set()).add(step.op)
    elif step.op is Op.DSB:
        yield from (Step(op, step.agent) for op in sorted(set_way.pop(step.agent, ())))
        yield step
    elif step.op is Op.IF:
        for index, fetch in line.fetches.items():
            offset = index * INSTRUCTION_BYTES
            if step.kind in fetch.sources and offset // CELL_BYTES == step.offset // CELL_BYTES:
                yield from (replace(step, agent=pe, offset=offset) for pe in range(pes))
    elif step.op is not Op.IC_IALLU or line.platform.pes == 1:
        yield step


def model_verdicts(platform: Platform, steps: tuple[Step, ...], pes: int) -> list[bool | None]:
    """Return whether each read may be stale, by the model; None for steps that are no reads."""
    cell = PendingCell.initial(automaton_of(platform), pes)
    line: Line[PendingCell] = Line.initial(platform, cell, filter(is_read, steps), pes)
    set_way: dict[int, set[Op]] = {}
    verdicts: list[bool | None] = []
    for step in steps:
        verdicts.append(line.verdict(step) == "stale" if is_read(step) else None)
        for judged in as_judged(line, step, pes, set_way):
            line = line.step(judged, calculator.MEMOISED)
    return verdicts


@pytest.mark.parametrize("name", platforms.names())
def test_compiled_judge_gives_the_models_verdicts(
    plugin: ctypes.CDLL, tmp_path: Path, name: str
) -> None:
    platform = platforms.load(name)
    pes = min(platform.pes, MAX_PES)
    n = WORDS_PER_SEED * len(SEEDS)
    compared = stale = 0
    for seed in SEEDS:
        judge = Judge(plugin, tmp_path, platform, WORDS_PER_SEED, pes=pes)
        for steps in random_words(random.Random(f"{seed} {name}"), pes, WORDS_PER_SEED):
            expected = model_verdicts(platform, steps, pes)
            assert judge.stale(steps) == expected, f"{name}, {seed}: {'; '.join(map(str, steps))}"
            assert judge.header.pending_overflows == 0, "; ".join(map(str, steps))
            compared += sum(v is not None for v in expected)
            stale += sum(v is True for v in expected)
    assert compared > n
    assert n / 5 < stale < compared / 2  # the words are neither all harmless nor all broken


ONCE_DIFFERENT = {
    "what the sources gave before the store in the window": (
        ("cortex-a57-up", "P0 dc zva; P0 ic iallu; P0 dc cvac; P0 st nc +8; P0 dsb; P0 if wb +4"),
        ("cortex-a57-up", "P0 dc zva; P0 ic iallu; P0 dc cvau; P0 st wb +8; P0 dsb; P0 if wb"),
        ("l2x0-up", "P0 st wt; P0 ic ialluis; P0 st nc +8; P0 dsb; P0 outer flush; P0 if wb +4"),
        ("fwb-dic", "P0 ic ialluis; P0 st nc; D0 wr coherent; P0 dsb; P0 if wb +4"),
        (
            "cortex-a57-up",
            "D0 wr noncoherent; P0 ic ialluis; P0 st dev +8; P0 dsb; P0 dc civac; P0 st wb +8; "
            "P0 if wb",
        ),
    ),
    "a window that is not complete makes nothing stale": (
        ("fwb-dic", "P0 st nc; P0 ic ialluis; D0 wr coherent; P0 if wb +4"),
        ("fwb-dic", "P0 st nc; P0 ic ialluis; P1 st wb; P0 if wb +4"),
        ("neoverse-dic", "P0 st wb; P1 ic ialluis; P0 dc cvac; P0 ld wb +8; P1 if nc"),
    ),
    "nothing was stale before, but the source was in the window": (
        ("neoverse-dic", "P1 ic ialluis; D0 wr noncoherent; P1 dsb; D0 wr coherent; P1 if wb +4"),
        ("fwb-dic", "P0 st wb; P0 ic ialluis; P0 dsb; P0 dc civac; P0 dsb; P1 if nc"),
    ),
    "an invalidation by all completes beside one by address": (
        ("fwb", "P0 st nc; P0 ic ialluis; P1 ic ivau; P0 dsb; P0 if nc"),
    ),
    "what a fetch spoilt before an invalidation by all is gone after it": (
        ("xgene-l3", "P0 st nc; P0 if wb; P0 ic ialluis; P0 dsb; P0 if nc"),
    ),
    "set/way operations empty the caches of lines that were never used": (
        ("cortex-a57-up", "P0 mmu off; P0 dc isw; P0 dsb; P0 st nc; P0 tw wb"),
        ("cortex-a57-up", "P0 mmu off; P0 dc cisw; P0 dsb; P0 ld nc; P0 st nc; P0 ld wb"),
    ),
    "what a fetch spoils is stale for the other kind of fetch, too": (
        ("neoverse-dic", "P0 st wb; P1 if wb; P0 if nc; P0 if wb"),
        ("xgene-l3", "P1 st nc; P1 ic ivau; P1 dsb; P0 if nc +4; P0 if wb; P1 if nc"),
    ),
}
"""Reduced words on which the judge and the model differed once, by cause."""


@pytest.mark.parametrize(
    ("name", "word"), [pair for pairs in ONCE_DIFFERENT.values() for pair in pairs]
)
def test_words_that_were_once_judged_otherwise(
    plugin: ctypes.CDLL, tmp_path: Path, name: str, word: str
) -> None:
    platform, steps = platforms.load(name), parse(word)
    pes = min(platform.pes, MAX_PES)
    judge = Judge(plugin, tmp_path, platform, 1, pes=pes)
    assert judge.stale(steps) == model_verdicts(platform, steps, pes)
