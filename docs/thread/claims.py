"""The thread's claims: records of claims.toml, and what the tool says of each."""

from __future__ import annotations

import enum
import functools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocwatch import platforms
from pocwatch.arch import attributes
from pocwatch.arch.attributes import Attributes, Cacheability, Device, Purpose
from pocwatch.cli import authored
from pocwatch.kvm.verdict import Result, decide
from pocwatch.platforms import ICache

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


class Verdict(enum.Enum):
    """What is said of a claim: by history, or by the tool."""

    RIGHT = "right"
    PARTLY = "partly right"
    WRONG = "wrong"
    NOT_ADOPTED = (
        "not adopted"  # history only: somebody found a fault in it, and it went another way
    )
    NOT_JUDGED = "not judged"
    UNDECIDED = "undecided"  # the tool only


# What the tool may say of a claim for both to agree, where that is not the same word.
_AGREES = {Verdict.NOT_ADOPTED: {Verdict.PARTLY, Verdict.WRONG}}


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix. `needs`: what it must be for the part to be right; None: it is only shown."""

    scenario: str
    policy: str
    platform: str
    icache: str | None = None
    needs: str | None = None

    @property
    def question(self) -> Cell:
        """The cell alone, whatever is expected of it."""
        return replace(self, needs=None)

    @property
    def holds(self) -> bool:
        """Whether it is as the claim needs it."""
        return self.result.verdict.value == self.needs

    @property
    def result(self) -> Result:
        """What the checker says of it."""
        return _decided(self.question)

    @property
    def command(self) -> str:
        """The command that shows it, in the project's folder."""
        option = f" --icache {self.icache}" if self.icache else ""
        return (
            f"pocwatch check --scenario {self.scenario} --policy {self.policy} "
            f"--platform {self.platform}{option}"
        )

    @property
    def trace_name(self) -> str:
        """The name of the page with its counterexample, without its suffix."""
        parts = [self.result.scenario, self.result.policy, self.result.platform]
        return "--".join([*parts, self.icache] if self.icache else parts)


@dataclass(frozen=True)
class Access:
    """A guest access with stage 1 off, whose attributes decide something."""

    purpose: str
    dc: bool
    icache_on: bool
    needs: str

    @property
    def attributes(self) -> str:
        """Its attributes, as the Arm ARM names them."""
        purpose = Purpose(self.purpose)
        found = attributes.stage1_off(purpose, default_cacheable=self.dc, icache_on=self.icache_on)
        return _named(found)

    @property
    def holds(self) -> bool:
        """Whether they are as the claim needs them."""
        return self.attributes == self.needs


@dataclass(frozen=True)
class Part:
    """A part of a claim: right if everything is as it needs it."""

    says: str
    cells: tuple[Cell, ...] = ()
    accesses: tuple[Access, ...] = ()

    @property
    def holds(self) -> bool:
        return all(each.holds for each in (*self.cells, *self.accesses))


@dataclass(frozen=True)
class Claim:
    """A claim, with what history says of it."""

    id: str
    title: str
    who: str
    claim: str
    history: Verdict
    history_why: str
    reason: str = ""
    parts: tuple[Part, ...] = ()
    shown: tuple[Cell, ...] = ()
    undecided: str = ""
    disagreement: str = ""

    @property
    def tool(self) -> Verdict:
        """What the tool says."""
        if not self.parts:
            return Verdict.UNDECIDED
        right = {part.holds for part in self.parts}
        if len(right) == 2:
            return Verdict.PARTLY
        return Verdict.RIGHT if right == {True} else Verdict.WRONG

    @property
    def agrees(self) -> bool | None:
        """Whether both say the same; None if one of them says nothing."""
        if self.tool is Verdict.UNDECIDED or self.history is Verdict.NOT_JUDGED:
            return None
        return self.tool in _AGREES.get(self.history, {self.history})

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All its cells, those that are only shown last."""
        return (*(cell for part in self.parts for cell in part.cells), *self.shown)

    @property
    def telling(self) -> Cell:
        """The cell for the table: the first against the claim, or with a trace, or of all."""
        needed = [cell for part in self.parts for cell in part.cells]
        against = (cell for cell in needed if not cell.holds)
        refuted = (cell for cell in needed if cell.result.trace)
        return next(against, None) or next(refuted, None) or needed[0]


@functools.cache
def load() -> tuple[Claim, ...]:
    """Return the claims in their order."""
    with (FOLDER / "claims.toml").open("rb") as file:
        return tuple(_claim(table) for table in tomllib.load(file)["claims"])


def with_traces() -> dict[str, Cell]:
    """Return the cells with a counterexample, by the name of its page."""
    cells = (cell.question for claim in load() for cell in claim.cells)
    return {cell.trace_name: cell for cell in cells if cell.result.trace}


def _claim(table: dict[str, Any]) -> Claim:
    parts = tuple(
        Part(
            part["says"],
            tuple(_cells(part.get("cells", ()))),
            tuple(Access(**access) for access in part.get("accesses", ())),
        )
        for part in table.pop("parts", ())
    )
    shown = tuple(_cells(table.pop("shown", ())))
    history = Verdict(table.pop("history"))
    return Claim(**table, history=history, parts=parts, shown=shown)


def _cells(tables: list[dict[str, str]]) -> Iterator[Cell]:
    return (Cell(**table) for table in tables)


@functools.cache
def _decided(cell: Cell) -> Result:
    platform = platforms.load(cell.platform)
    if cell.icache:
        platform = replace(platform, icache=ICache(cell.icache))
    policy = str(ROOT / cell.policy) if cell.policy.endswith(".py") else cell.policy
    return decide(authored.scenario(cell.scenario), authored.policy(policy), platform)


def _named(found: Attributes) -> str:
    if isinstance(found, Device):
        return "Device-" + found.subtype.name.replace("N", "n")
    words = {
        Cacheability.NC: "Non-cacheable",
        Cacheability.WT: "Write-Through",
        Cacheability.WB: "Write-Back",
    }
    return f"Normal {words[min(found.inner, found.outer)]}"
