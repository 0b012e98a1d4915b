"""The verdicts of a word by each of the three implementations."""

from __future__ import annotations

import oracle

from pocwatch import platforms
from pocwatch.line import calculator
from pocwatch.line.line import Line, is_read
from pocwatch.line.model import Cell
from pocwatch.line.word import parse
from pocwatch.platforms import Platform


def by_table(platform: Platform, word: str) -> list[str]:
    """What `pocwatch line` says."""
    return [read.verdict for read in calculator.judge(platform, parse(word))]


def by_model(platform: Platform, word: str) -> list[str]:
    """What the literal model says."""
    steps = parse(word)
    pes = calculator.pes_of(platform, steps)
    line = Line.initial(platform, Cell.initial(platform), filter(is_read, steps), pes)
    verdicts = []
    for step in steps:
        if is_read(step):
            verdicts.append(line.verdict(step))
        line = line.step(step)
    return verdicts


def check(platform: Platform | str, word: str, *expected: str) -> None:
    """Hold all implementations to the verdicts expected of a word's reads."""
    if isinstance(platform, str):
        platform = platforms.load(platform)
    answers = {
        "table": by_table(platform, word),
        "model": by_model(platform, word),
        "oracle": oracle.verdicts(platform, word),
    }
    assert answers == {name: list(expected) for name in answers}, f"{platform.name}: {word}"
