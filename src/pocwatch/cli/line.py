"""`pocwatch line`: the line model as a calculator."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocwatch.cli import complete

if TYPE_CHECKING:
    from pocwatch.line.calculator import Read
    from pocwatch.line.word import Step
    from pocwatch.platforms import Platform

_SEPARATOR = "---"
_WORDS_PER_TASK = 500


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("word", required=False)
@click.option(
    "--platform", required=True, metavar="NAME|FILE", help="The caches.",
    shell_complete=complete.platforms,
)  # fmt: skip
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the words from a file instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, one line per word.")
def command(word: str | None, platform: str, path: Path | None, as_json: bool) -> int:
    """Say which reads of one cache line may be stale, how, and what cures it.

    WORD is a sequence of steps `AGENT OP [KIND] [+OFFSET]`, separated by `;` or new lines; `-`
    reads standard input, which may hold several words separated by lines `---`; the answer is then
    one JSON line per word.

    \b
    Agents: P0, P1, ... (PEs), D0, ... (devices)
    Ops:    st ld tw wb|wt|nc|dev; if wb|nc; wr rd coherent|noncoherent;
            dc cvac|cvap|cvau|civac|ivac|csw|cisw|isw|zva; ic ivau|iallu|ialluis;
            outer clean|inv|flush; dmb dsb isb; mmu on|off
    Exit:   0 all reads fresh, 1 something stale or unsynced, 2 bad input

    \b
    Examples:
      pocwatch line --platform xgene-l3 'P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev'
      pocwatch line --platform cortex-a57 --json 'P0 st wb; P0 dc cvac; P0 dsb; P1 ld nc'
      pocwatch line --platform cortex-a57 --json - < words
    """
    from pocwatch.cli.platform_option import load_platform

    chosen = load_platform(platform)
    words = _parse(chosen, _texts(word, path))
    bad = False
    as_json = as_json or len(words) > 1
    for steps, reads in zip(words, _judged(chosen, words), strict=True):
        bad |= any(read.verdict != "fresh" for read in reads)
        click.echo(json.dumps(_json(chosen, reads)) if as_json else _text(chosen, steps, reads))
    return int(bad)


def _texts(word: str | None, path: Path | None) -> list[str]:
    from pocwatch.sanitizer.errors import UsageError

    if (word is None) == (path is None):
        raise UsageError("line takes one of: a WORD, '-' for standard input, or --file FILE")
    if path is None and word != "-":
        assert word is not None
        return [word]
    try:
        text = sys.stdin.read() if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path or 'standard input'}: cannot be read: {error}") from None
    words: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip() == _SEPARATOR:
            words.append([])
        else:
            words[-1].append(line)
    if len(words) > 1 and not "".join(words[-1]).strip():
        words.pop()  # a separator at the end
    return ["\n".join(lines) for lines in words]


def _parse(platform: Platform, texts: Sequence[str]) -> list[tuple[Step, ...]]:
    from pocwatch.line import word
    from pocwatch.sanitizer.errors import UsageError

    parsed = []
    for number, text in enumerate(texts):
        try:
            parsed.append(word.parse(text, line_bytes=platform.dminline_bytes))
        except word.WordError as error:
            where = f"word {number}, " if len(texts) > 1 else ""
            raise UsageError(f"{where}{error}") from None
    return parsed


def _judged(
    platform: Platform, words: Sequence[tuple[Step, ...]]
) -> Iterator[list[Read]]:
    from pocwatch.line.calculator import judge_all

    if len(words) <= 2 * _WORDS_PER_TASK:
        yield from judge_all(platform, words)
        return
    from concurrent.futures import ProcessPoolExecutor

    tasks = [words[i : i + _WORDS_PER_TASK] for i in range(0, len(words), _WORDS_PER_TASK)]
    with ProcessPoolExecutor() as pool:
        for reads in pool.map(judge_all, [platform] * len(tasks), tasks):
            yield from reads


def _json(platform: Platform, reads: Sequence[Read]) -> dict[str, Any]:
    return {
        "platform": platform.name,
        "reads": [
            {
                "step": read.step,
                "op": read.op,
                "verdict": read.verdict,
                "witness": read.witness,
                "repair": read.repair,
            }
            for read in reads
        ],
    }


def _text(platform: Platform, steps: Sequence[Step], reads: Sequence[Read]) -> str:
    by_step = {read.step: read for read in reads}
    lines = [f"platform {platform.name}: {', '.join(level.name for level in platform.levels)}"]
    for number, step in enumerate(steps):
        read = by_step.get(number)
        lines.append(f"{number:3}  {step}" + (f"   <- {read.verdict}" if read else ""))
    for read in reads:
        if read.verdict == "fresh":
            continue
        lines += ["", f"step {read.step} ({read.op}) is {read.verdict}:"]
        lines += [f"  {sentence}" for sentence in read.witness]
        repair = "; ".join(read.repair)
        lines.append(f"  repair: {repair or 'none before this read: the latest data may be lost'}")
    if not reads:
        lines.append("no reads: nothing to judge")
    return "\n".join(lines)
