"""Witnesses can happen and repairs repair: replayed with the oracle, inserted and judged again."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from random import Random

import oracle
import pytest
from verdicts import by_table

from pocwatch import platforms
from pocwatch.line.calculator import Read, judge, judge_all
from pocwatch.line.word import parse
from pocwatch.platforms import Platform

SEED = 2013
ALL = platforms.names()
WORDS = 250  # per platform

OPS = (
    "st wb", "st wb", "st wb +8", "st nc", "st dev", "st wt", "dc zva",
    "ld wb", "ld wb", "ld nc", "ld dev", "ld wt", "tw wb", "tw nc", "if wb", "if wb", "if nc",
    "dc cvac", "dc cvau", "dc cvau", "dc civac", "dc ivac", "dc csw", "dc cisw", "dc isw",
    "ic ivau", "ic iallu", "dmb", "dsb", "dsb", "isb", "mmu off",
)  # fmt: skip
STEPS = [
    *(f"{pe} {op}" for pe in ("P0", "P0", "P1") for op in OPS),
    "D0 wr coherent", "D0 wr noncoherent", "D0 rd coherent", "D0 rd noncoherent",
    "P0 outer clean", "P0 outer inv", "P0 outer flush",
]  # fmt: skip


def random_words(platform: Platform, length: int = 7) -> Iterable[list[str]]:
    random = Random(f"{SEED} {platform.name} {length}")
    for _ in range(WORDS):
        yield random.choices(STEPS, k=length)


def bad_reads(
    platform: Platform, length: int = 7
) -> Iterable[tuple[list[str], Read]]:
    for word in random_words(platform, length):
        for read in judge(platform, parse("; ".join(word))):
            if read.verdict != "fresh":
                yield word, read


def repaired(word: Sequence[str], read: Read) -> tuple[list[str], int]:
    """The word with the repair of a read inserted, and where the read is then."""
    steps, at = list(word), read.step
    places = {re.sub(r"[^:]*$", "", step) for step in read.repair}
    assert len(places) == 1, "a repair is inserted at one place"
    if places != {""}:
        (place,) = places
        at = int(re.fullmatch(r"before step (\d+):", place)[1])  # type: ignore[index]
        assert 0 <= at < read.step
    inserted = [step.removeprefix(f"before step {at}: ") for step in read.repair]
    return [*steps[:at], *inserted, *steps[at:]], read.step + len(inserted)


# --- Repairs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_repair_makes_the_read_fresh(name: str) -> None:
    platform = platforms.load(name)
    plain = earlier = 0
    for word, read in bad_reads(platform):
        if not read.repair:
            continue
        cured, at = repaired(word, read)
        text = "; ".join(cured)
        reads = {r.step: r.verdict for r in judge(platform, parse(text))}
        assert reads[at] == "fresh", (word, read)
        numbers = [n for n, step in enumerate(cured) if step.split()[1] in ("ld", "tw", "if", "rd")]
        assert oracle.verdicts(platform, text)[numbers.index(at)] == "fresh", (word, read)
        plain += not read.repair[0].startswith("before")
        earlier += read.repair[0].startswith("before")
    assert plain > 50
    assert earlier > 5


@pytest.mark.parametrize("name", ALL)
def test_most_reads_have_a_repair(name: str) -> None:
    platform = platforms.load(name)
    found = [bool(read.repair) for _, read in bad_reads(platform)]
    assert sum(found) > 0.7 * len(found)


PRICES = {
    "dc cvau": 3, "dc cvac": 4, "dc civac": 5, "outer clean": 6, "outer flush": 7, "ic ivau": 4, "isb": 1,
    "dsb": 1,
}  # fmt: skip


def price(steps: Sequence[str]) -> int:
    """What a repair costs: the DSB after a maintenance instruction is in its price."""
    ops = [step.split(maxsplit=1)[1] for step in steps]
    waited = ["dsb" if op.startswith(("dc", "ic")) else "" for op in ops]
    free = sum(op == "dsb" == before for op, before in zip(ops[1:], waited, strict=False))
    return sum(PRICES[op] for op in ops) - free


@pytest.mark.parametrize("name", ["cortex-a57", "l2x0-up", "xgene-l3"])
def test_no_repair_is_cheaper(name: str) -> None:
    """All repairs of up to two instructions of the same PE, each with its DSB, are tried."""
    platform = platforms.load(name)
    tried = 0
    for word, read in bad_reads(platform):
        if not read.repair or read.repair[0].startswith("before") or tried == 60:
            continue
        tried += 1
        (fixer,) = {s.split()[0] for s in read.repair if s.split()[1] in ("dc", "ic", "outer")} or {""}
        agents = [fixer] if fixer else ["P0", "P1"]
        moves = [[f"{pe} dsb"] for pe in ("P0", "P1")]
        moves += [[f"{read.op.split()[0]} isb"]] if " if " in read.op else []
        for pe, op in itertools.product(agents, PRICES):
            if op not in ("dsb", "isb"):
                moves.append([f"{pe} {op}", *([f"{pe} dsb"] if "outer" not in op else [])])
        for chosen in [*([m] for m in moves), *itertools.permutations(moves, 2)]:
            steps = [step for move in chosen for step in move]
            if price(steps) >= price(read.repair):
                continue
            text = "; ".join([*word[: read.step], *steps, read.op])
            assert by_table(platform, text)[-1] != "fresh", (word, read, steps)
    assert tried == 60


@pytest.mark.parametrize(
    ("platform", "word", "repair"),
    [
        ("xgene-l3", "P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev", "P0 dc cvac; P0 dsb"),
        ("xgene-l3", "P0 st wb; P0 dc cvac; P1 ld dev", "P0 dsb"),
        ("xgene-l3", "P0 st wb; P0 dc csw; P0 dsb; P1 ld dev", "P0 dc cvac; P0 dsb"),
        ("l2x0-up", "P0 st wb; P0 dc cvac; P0 dsb; P0 ld dev", "P0 outer clean"),
        ("l2x0-up", "P0 st wb; P0 ld dev", "P0 dc cvau; P0 dsb; P0 outer clean"),
        ("l2x0-up", "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P0 if wb", "P0 isb"),
        ("cortex-a57", "D0 wr noncoherent; P0 ld wb", "P0 dc civac; P0 dsb"),
        ("cortex-a57", "P0 st wb; P1 if wb", "P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P1 isb"),
        ("cortex-a57", "P0 st wb; P1 if nc", "P0 dc cvac; P0 dsb; P0 ic ivau; P0 dsb; P1 isb"),
        ("cortex-a57", "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 isb; P0 if wb", "P0 dsb; P0 isb"),
        ("cortex-a57", "P0 st wb; P0 dc cvau; P0 dsb; P0 ic iallu; P0 dsb; P1 isb; P1 if wb",
         "P0 ic ivau; P0 dsb; P1 isb"),
        ("neoverse-dic", "P0 st wb; P1 if wb", "P1 isb"),
        ("cortex-a57", "P0 st wb; P0 st nc; P0 ld nc",
         "before step 1: P0 dc cvac; before step 1: P0 dsb"),
        ("cortex-a57", "P0 st wb; P0 dc ivac; P0 dsb; P0 ld wb",
         "before step 1: P0 dc cvac; before step 1: P0 dsb"),
    ],
)  # fmt: skip
def test_cheapest_by_hand(platform: str, word: str, repair: str) -> None:
    read = judge(platforms.load(platform), parse(word))[-1]
    assert "; ".join(read.repair) == repair


# --- Witnesses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_what_is_told(name: str) -> None:
    platform = platforms.load(name)
    for word in random_words(platform):
        for read in judge(platform, parse("; ".join(word))):
            assert bool(read.witness) == (read.verdict != "fresh")
            assert word[read.step] == read.op
            if read.verdict == "fresh":
                assert read.repair == []


Effect = Callable[[oracle.Caches], Iterable[oracle.Caches]]


def effect_of(platform: Platform, step: str) -> Effect:
    """What a step does to cell 0, maintenance aside."""
    words = step.split()
    op, kind = words[1], words[2] if len(words) > 2 else ""
    own = step[-1] != "8"
    if op in ("ld", "tw", "rd") and kind in ("wb", "wt", "coherent"):
        return lambda caches: [caches, *partly_filled(caches)]
    if step.endswith("dc zva"):
        return oracle.stored("wb")
    if op == "st":
        return oracle.stored(kind) if own else oracle.neighbour(kind)
    if op == "wr":
        gone = ("--",) * (len(platform.levels) - 1)
        allocated = [(*gone, "--", "L"), (*gone, "Ld", "S")]
        return oracle.stored("nc") if kind == "noncoherent" else lambda _: allocated
    if op == "outer":
        return lambda caches: oracle.act(platform, f"outer {kind}", caches)
    return lambda caches: [caches]


def partly_filled(caches: oracle.Caches) -> Iterable[oracle.Caches]:
    """A demand fill, and any of the copies it made dropped again."""
    full = oracle.demand_filled(caches)[1]
    new = [level for level, held in enumerate(caches[:-1]) if held != full[level]]
    for size in range(len(new) + 1):
        for dropped in itertools.combinations(new, size):
            yield tuple("--" if i in dropped else held for i, held in enumerate(full))


MOVES = {
    "fills": lambda caches, i: oracle.put(caches, i, oracle.view(caches, i + 1) + "c"),
    "writes": oracle.push_down,
    "evicts": lambda caches, i: oracle.put(oracle.push_down(caches, i), i, "--"),
    "drops": lambda caches, i: oracle.put(caches, i, "--"),
}
ALLOWED = {"fills": ("--",), "writes": ("Ld", "Sd"), "evicts": ("Ld", "Sd"), "drops": ("Lc", "Sc")}
HELD = {"latest, clean": "Lc", "latest, dirty": "Ld", "stale, clean": "Sc", "stale, dirty": "Sd"}


def replay(platform: Platform, word: Sequence[str], read: Read) -> set[oracle.Caches]:
    """Let happen what the witness says, in its order; return the caches that may be at the read."""
    levels = {level.name: i for i, level in enumerate(platform.levels)}
    now = {(*("--",) * len(levels), "L")}
    told = [sentence.split(": ", 1) for sentence in read.witness[:-1]]
    told = [[place, what] for place, what in told if place != "at the read"]
    for number in range(-1, read.step):
        if number >= 0:
            effect = effect_of(platform, word[number])
            now = {after for caches in now for after in effect(caches)}
        place = "at the start" if number < 0 else f"after step {number} ({word[number]})"
        while told and told[0][0] == place:
            what = told.pop(0)[1]
            if what.endswith("acts before its own uncached store: no effect"):
                continue
            acts = re.fullmatch(r"P\d+'s (.*) takes effect", what)
            if acts:
                now = {after for caches in now for after in oracle.act(platform, acts[1], caches)}
                continue
            level, verb = levels[what.split()[0]], what.split()[1]
            now = {MOVES[verb](c, level) for c in now if c[level] in ALLOWED[verb]}
    assert told == [], f"out of order: {told}"
    return now


def pictured(platform: Platform, read: Read) -> oracle.Caches:
    """The caches that the last sentence of a witness shows."""
    held = ["--"] * len(platform.levels)
    *shown, memory = read.witness[-1].removeprefix("at the read: ").split("; ")
    for text in shown:
        name, state = text.split(" ", 1)
        held[[level.name for level in platform.levels].index(name)] = HELD[state]
    return (*held, {"memory latest": "L", "memory stale": "S"}[memory])


@pytest.mark.parametrize("name", ALL)
def test_witnesses_can_happen(name: str) -> None:
    """The moves told lead to the caches shown, which the oracle thinks possible and which are stale."""
    platform = platforms.load(name)
    replayed = 0
    for word, read in bad_reads(platform):
        if read.verdict == "unsynced" or "instruction cache" in read.witness[0]:
            assert re.match(r"P\d+('s instruction cache| has had no context)", read.witness[0])
            continue
        if "+8" in read.op or any("zva" in s or s.endswith("+4") for s in word):
            continue
        caches = pictured(platform, read)
        assert caches in replay(platform, word, read), (word, read)
        before = oracle.Word(platform, "; ".join(word))
        for steps in before.steps[: read.step]:
            before._step(steps)
        assert caches in {now for now, _ in before.cells[0]}, (word, read)
        op, kind = read.op.split()[1:3]
        entry = platform.pou if op == "if" else 0
        cached, uncached = oracle.view(caches, entry) == "S", caches[-1] == "S"
        stale = {"wb": cached, "coherent": cached, "wt": cached or uncached}.get(kind, uncached)
        assert stale, (word, read)
        replayed += 1
    assert replayed > 60


def test_words_by_hand() -> None:
    xgene = platforms.load("xgene-l3")
    (read,) = judge(xgene, parse("P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev"))
    assert (read.step, read.op, read.verdict) == (3, "P1 ld dev", "stale")
    assert "takes effect" in read.witness[0]
    assert read.witness[-1] == "at the read: L1D latest, clean; L2 latest, dirty; memory stale"
    (read,) = judge(xgene, parse("D0 wr noncoherent; P0 ld wb"))
    assert "fills from below" in read.witness[0]


# --- Whole words --------------------------------------------------------------------------------


def test_reads_are_all_judged_in_order() -> None:
    word = parse("P0 ld wb; P0 st wb; P0 tw nc; D0 rd coherent; P0 if wb; P0 dsb")
    reads = judge(platforms.load("cortex-a57"), word)
    assert [(read.step, read.op) for read in reads] == [
        (0, "P0 ld wb"), (2, "P0 tw nc"), (3, "D0 rd coherent"), (4, "P0 if wb"),
    ]  # fmt: skip


def test_no_read_nothing_to_judge() -> None:
    assert judge(platforms.load("cortex-a57"), parse("P0 st wb; P0 dc cvac")) == []


def test_words_do_not_depend_on_each_other() -> None:
    platform = platforms.load("xgene-l3")
    words = [parse("; ".join(word)) for word in random_words(platform, 10)][:100]
    assert judge_all(platform, words) == [judge(platform, word) for word in words]
    assert judge_all(platform, words[::-1]) == judge_all(platform, words)[::-1]


@pytest.mark.parametrize("name", [n for n in ALL if platforms.load(n).pes > 1])
def test_later_steps_do_not_change_earlier_verdicts(name: str) -> None:
    platform = platforms.load(name)
    for word in itertools.islice(random_words(platform), 40):
        whole = by_table(platform, "; ".join(word))
        for end in range(1, len(word)):
            beginning = by_table(platform, "; ".join(word[:end]))
            assert beginning == whole[: len(beginning)]
