"""What a story is made of, as plain data: rows, what the caches hold after each, and how it ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pocwatch.kvm.verdict import Result
from pocwatch.line.behaviour import Move
from pocwatch.line.model import Copy
from pocwatch.line.provenance import Data
from pocwatch.line.word import Step

ICACHE = "I-cache"
CACHES = "caches"  # the column of what happens unasked


class Mark(enum.Enum):
    """What a row is in the story."""

    PLAIN = ""
    LATEST = "writes what should be read"
    SOURCE = "wrote what is read instead"
    STALE = "the read gets old data"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is where of the page that is read, after a row.

    `data` holds row numbers: of the writes whose data the levels, memory and the I-cache hold, 0 for what
    was there before. `pending`: operations issued that have not taken effect.
    """

    levels: tuple[Copy, ...]
    memory_latest: bool
    icache: Copy
    data: Data
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A step of the story. `steps`: what the page's line saw; `moves`: the same with the caches' part.

    `hook` is the policy's, if the step is one of its operations; `elsewhere`: it is about another page.
    """

    number: int
    agent: str
    event: str
    why: str
    hook: str
    steps: tuple[str, ...]
    picture: Picture
    mark: Mark = Mark.PLAIN
    elsewhere: bool = False
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Remedy:
    """What makes the scenario safe: see `repair.Repair`. `rows`: before which rows each hook acts."""

    hooks: tuple[str, ...]
    operations: tuple[str, ...]
    states: int
    rows: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """The read: who, how, where it looks, what it gets and what it should have got, in words.

    `latest` and `got` are row numbers of writes; `got` is None if only the pipeline is behind. `how`
    says in a sentence how what it gets came to be where it looks; `place` is where it got it.
    """

    agent: str
    event: str
    why: str
    step: str
    verdict: str
    looks_at: str
    latest: int
    got: int | None
    gets: str
    instead_of: str
    how: str
    place: str


@dataclass(frozen=True, slots=True)
class Story:
    """All there is to say of a cell. `agents` are the columns; rows are empty unless it is unsafe.

    `line_repair`: the cheapest maintenance right before the read that would have saved it, steps as
    `pocwatch line` takes them; `remedy`: where in the kernel, proved for this scenario.
    """

    result: Result
    description: str
    facts: str
    origin: str
    levels: tuple[str, ...]
    fetcher: int | None = None
    agents: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    ending: Ending | None = None
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    line_repair: tuple[str, ...] = ()
    remedy: Remedy | None = None
    word: tuple[Step, ...] = ()
