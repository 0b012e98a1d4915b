"""The compiled judge gives the verdicts of the line model on random words.

Left to other tests: what the judge knows it simplifies (docs/warts.md). An IC IALLU that is not
broadcast is not used with several PEs; set/way operations come with their DSB; and a word ends where
a fetch from a stale source spoils one PE's I-cache, which the judge books for all.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge import Judge

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.line import calculator
from pocwatch.line.line import Line, is_read
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import Step, parse
from pocwatch.platforms import Platform

WORDS_PER_PLATFORM = 15_000
SEED = 20131

_COMMON = (
    "st wb", "st wb +8", "st nc", "st dev +8", "st nc +8", "st wt", "ld wb", "ld nc", "ld wt",
    "ld dev", "ld nc +8", "ld wb +8", "tw wb", "tw nc", "if wb", "if nc", "if wb +4", "dc zva",
    "dc cvac", "dc cvap", "dc cvau", "dc civac", "dc ivac", "dc cvac", "dc civac", "dsb", "dsb",
    "ic ivau", "ic ivau", "ic ialluis", "outer clean", "outer inv", "outer flush", "dmb", "dsb",
    "isb", "mmu on", "mmu off",
)  # fmt: skip
_SET_WAY = ("dc csw; P{pe} dsb", "dc cisw; P{pe} dsb", "dc isw; P{pe} dsb")
_DMA = ("D0 wr coherent", "D0 wr noncoherent", "D0 rd coherent", "D0 rd noncoherent +8")


def random_words(rng: random.Random, platform: Platform, n: int) -> Iterator[tuple[Step, ...]]:
    """Yield words of 1 to 12 steps; the platform's PEs are few, so that all can be off."""
    pes = min(platform.pes, 2)
    for _ in range(n):
        steps = []
        for _ in range(rng.randint(1, 12)):
            kind = rng.random()
            pe = rng.randrange(pes)
            if kind < 0.08:
                steps.append(rng.choice(_DMA))
            elif kind < 0.14:
                steps.append(f"P{pe} " + rng.choice(_SET_WAY).format(pe=pe))
            elif kind < 0.16 and platform.pes == 1:
                steps.append("P0 ic iallu")
            else:
                steps.append(f"P{pe} " + rng.choice(_COMMON))
        yield parse("; ".join(steps))


def model_verdicts(platform: Platform, steps: tuple[Step, ...], pes: int) -> list[bool | None]:
    """Return whether each read may be stale, by the model; up to the first spoiling fetch."""
    cell = PendingCell.initial(automaton_of(platform), pes)
    line: Line[PendingCell] = Line.initial(platform, cell, filter(is_read, steps), pes)
    verdicts: list[bool | None] = []
    for step in steps:
        verdicts.append(line.verdict(step) == "stale" if is_read(step) else None)
        if step.op is Op.IF and any(f.sources for f in line.fetches.values()):
            break
        line = line.step(step, calculator.MEMOISED)
    return verdicts


@pytest.mark.parametrize("name", platforms.names())
def test_compiled_judge_gives_the_models_verdicts(
    plugin: ctypes.CDLL, tmp_path: Path, name: str
) -> None:
    platform = platforms.load(name)
    pes = min(platform.pes, 2)
    rng = random.Random(f"{SEED} {name}")
    judge = Judge(plugin, tmp_path, platform, WORDS_PER_PLATFORM, pes=pes)
    compared = stale = 0
    for steps in random_words(rng, platform, WORDS_PER_PLATFORM):
        expected = model_verdicts(platform, steps, pes)
        got = judge.stale(steps)[: len(expected)]
        assert got == expected, f"{name}: {'; '.join(map(str, steps))}"
        assert judge.header.pending_overflows == 0, "; ".join(map(str, steps))
        compared += sum(v is not None for v in expected)
        stale += sum(v is True for v in expected)
    assert compared > WORDS_PER_PLATFORM
    assert stale > WORDS_PER_PLATFORM / 20  # the words are not all harmless
