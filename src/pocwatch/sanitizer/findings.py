"""What a run found: the one record type that every rendering is made from.

Built from the run file's raw records by `analysis`; JSON, text and others only render.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pocwatch.arch.ops import Kind, Op
from pocwatch.platforms import Platform
from pocwatch.sanitizer.symbols.lines import SourceLine
from pocwatch.trace.records import Flag, Why


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a call stack; `pc` is the instruction of the innermost one, else a return address."""

    pc: int
    symbol: str | None
    source: SourceLine | None = None  # of the call


@dataclass(frozen=True, slots=True)
class Access:
    """The access that may see stale data. Addresses are bytes; None where there is none."""

    op: Op
    kind: Kind
    size: int
    pe: int
    el: int
    vm_id: int
    flags: Flag
    why: Why
    pc: int
    pc_pa: int | None
    pc_ipa: int | None
    symbol: str | None
    insn: int
    va: int
    ipa: int | None
    pa: int
    s1_mair: int
    s2_attr: int | None
    source: SourceLine | None = None  # where DWARF says it
    stack: tuple[Frame, ...] = ()  # innermost first: the access itself; empty if not taken
    # Of a device's read, the device; PE, PC and stack are then those of what handed the buffer over.
    device: str | None = None
    device_number: int = 0

    @property
    def vm(self) -> bool:
        """Whether a guest made it."""
        return Flag.VM in self.flags

    @property
    def agent(self) -> str:
        """Who did it, spelled as in `pocwatch line`."""
        return f"D{self.device_number}" if self.op is Op.DMA_RD else f"P{self.pe}"

    @property
    def mmu(self) -> str:
        """Whether stage 1 was "on" or "off"."""
        return "on" if Flag.MMU_ON in self.flags else "off"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the line before."""

    seq: int
    op: Op
    kind: Kind
    pe: int
    el: int
    vm_id: int
    flags: Flag
    cells: int
    pc: int
    pc_pa: int | None
    pc_ipa: int | None
    symbol: str | None
    rule: str | None  # text of the --drop or --weaken rule that changed it
    source: SourceLine | None = None
    stack: tuple[Frame, ...] = ()  # of maintenance, as in Access
    device: str | None = None  # of a device's write, if it is known

    @property
    def agent(self) -> str:
        """Who did it, spelled as in `pocwatch line`."""
        return f"D{self.pe}" if self.op in (Op.DMA_RD, Op.DMA_WR) else f"P{self.pe}"

    @property
    def vm(self) -> bool:
        """Whether a guest did it."""
        return Flag.VM in self.flags


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Maintenance of the line, and why it did not make the access safe."""

    event: Event
    why_not_enough: str


@dataclass(frozen=True, slots=True)
class Line:
    """The line's state just before the access; `pa` is of its first byte."""

    pa: int
    size: int
    stale_cell: int
    states: tuple[int, ...]
    state_text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in the code where stale data may be seen, with how often it was."""

    kind: str  # stale-read, stale-fetch, ...
    count: int
    instructions: int  # executed by all PEs when first seen
    access: Access
    writer: Event | None  # None: the initial contents of RAM, or forgotten
    maintenance: tuple[Maintenance, ...]
    history: tuple[Event, ...]  # oldest first
    history_truncated: bool
    line: Line
    rule: str
    repair: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Findings (sites) that a suppression took out: how many, how often they occurred, which."""

    rule: str
    count: int
    occurrences: int
    reason: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Findings that were left out because an earlier report, the baseline, has them too."""

    baseline: str  # the file as it was named
    count: int
    occurrences: int


@dataclass(frozen=True, slots=True)
class Device:
    """A bus master that was watched, and the lines that it read and wrote, each time anew."""

    name: str
    coherent: bool
    lines_read: int
    lines_written: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about a run."""

    complete: bool
    platform: str
    qemu: str
    command: tuple[str, ...]  # asks for this run again
    instructions: int = 0
    accesses: int = 0
    fetches: int = 0
    walks: int = 0
    maintenance: dict[str, int] = field(default_factory=dict)
    redundant: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)  # rule text -> times applied
    devices: Sequence[Device] = ()  # by number: the first is D0
    findings: Sequence[Finding] = ()
    suppressed: Sequence[Suppressed] = ()
    known: Known | None = None  # None: there was no baseline
    warnings: Sequence[str] = ()
    failure: str | None = None  # why the report is partial
    machine_failed: bool = False  # as opposed to: the user ended it
    definition: Platform | None = None  # of `platform`: `auto` and users' files cannot be named
    watched: bool = True  # False: the machine never got as far as the plugin
