"""Names for events: which symbol table answers for an instruction, and at which address.

An instruction is looked up by physical address first (by IPA in a VM): a kernel image lies in RAM
in one piece, so image offset = PA - load address, whatever the VA is: KASLR, nVHE code at EL2, MMU
off.
Where a kernel was loaded is said by the user, follows from QEMU's boot protocol, or is found by
comparing code pages in guest RAM with the image's bytes. Otherwise the VA is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.machine import Machine
from pocwatch.sanitizer.rules import Place
from pocwatch.sanitizer.symbols import Range, SymbolError, SymbolTable, lines, load
from pocwatch.sanitizer.symbols.image import header, unpack
from pocwatch.sanitizer.symbols.lines import LineTable, SourceLine
from pocwatch.trace.records import NO_ADDRESS

_LOAD_ALIGN = 1 << 21  # booting.rst: text_offset bytes from a 2 MiB aligned base
_PAGE = 4096
_KERNEL_SPACE = 1 << 47
_UPPER_HALF = 1 << 63
# Share of a code page's words that must equal the image's: alternatives, static calls and
# relocations patch a kernel at boot, other code has next to nothing in common.
_SAME_WORDS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A symbol table and whose it is; `load` is the PA (guest: IPA) of its first byte."""

    name: str  # "host", "guest", or what the user called it
    table: SymbolTable
    load: int | None = None
    size: int = 0

    @property
    def guest(self) -> bool:
        """Whether it runs in a VM."""
        return self.name.startswith("guest")

    @property
    def in_upper_half(self) -> bool:
        """Whether it is linked where EL0 has no code."""
        return self.table.base is not None and self.table.base >= _UPPER_HALF

    def slide_at(self, where: Where) -> int | None:
        """Return how far this kernel's VAs lie from its link addresses, if `where` shows it."""
        if self.load is None or self.table.base is None or where.physical == NO_ADDRESS:
            return None
        offset = where.physical - self.load
        slide = where.pc - self.table.base - offset
        inside = 0 <= offset < (self.size or len(self.table.image))
        # EL2 and flat maps of the same image lie far from the kernel's own half
        return slide if inside and abs(slide) < _KERNEL_SPACE else None

    def linked_at(self, address: int) -> int | None:
        """Return the link address of a physical address in the loaded image."""
        if self.load is None or self.table.base is None:
            return None
        offset = address - self.load
        if not 0 <= offset < (self.size or len(self.table.image)):
            return None
        return self.table.base + offset


@dataclass(frozen=True, slots=True)
class Where:
    """Where an instruction was executed; `el0`: at EL0."""

    pc: int
    pc_pa: int
    pc_ipa: int
    vm: bool
    el0: bool = False

    @property
    def physical(self) -> int:
        """The address that the kernel running there would call physical."""
        return self.pc_ipa if self.vm else self.pc_pa

    def moved(self, step: int) -> Where:
        """Return the place `step` bytes on, in the same page."""
        pa, ipa = (a if a == NO_ADDRESS else a + step for a in (self.pc_pa, self.pc_ipa))
        return Where(self.pc + step, pa, ipa, self.vm, self.el0)


def parse_option(text: str) -> tuple[str, int | None, Path]:
    """Read `[NAME[@ADDRESS]=]FILE`. Raise UsageError."""
    match = re.fullmatch(r"(?:([A-Za-z][\w-]*)(?:@([^=]*))?=)?(.+)", text)
    if match is None:
        raise UsageError(f"--symbols {text!r}: not of the form [NAME[@ADDRESS]=]FILE")
    name, address, file = match.groups()
    try:
        return name or "host", int(address, 16) if address is not None else None, Path(file)
    except ValueError:
        raise UsageError(
            f"--symbols {text!r}: {address!r} is no load address; give it in hex, e.g. 0x80200000"
        ) from None


def programs(options: Sequence[str], machine: Machine) -> list[Program]:
    """Load the user's symbol files, and the `-kernel` image's own table unless one is for `host`."""
    loaded: list[Program] = []
    image_load, image_size = _kernel_load(machine)
    for option in options:
        name, address, file = parse_option(option)
        try:
            table = load(file)
        except SymbolError as error:
            raise UsageError(f"--symbols {error}") from None
        program = Program(name, table, address, _image_size(table))
        if address is None and not program.guest and table.base is not None:
            program = replace(program, load=image_load, size=image_size)
        loaded.append(program)
    if machine.kernel is not None and all(p.name != "host" for p in loaded):
        try:
            table = load(machine.kernel)
        except SymbolError:
            return loaded  # not a Linux kernel, or without kallsyms; QEMU says if it is no kernel
        loaded.append(Program("host", table, image_load, image_size))
    return loaded


def _image_size(table: SymbolTable) -> int:
    head = header(table.image)
    return head.image_size if head else 0


def _kernel_load(machine: Machine) -> tuple[int | None, int]:
    """Return the load address and size of the `-kernel` image; None when firmware loads it."""
    if machine.kernel is None or machine.firmware:
        return None, 0
    try:
        head = header(unpack(machine.kernel, Path(machine.kernel).read_bytes()) or b"")
    except (OSError, SymbolError):
        return None, 0
    return (head.qemu_load_address(machine.ram_base), head.image_size) if head else (None, 0)


def _by_world(known: Sequence[Program]) -> dict[bool, tuple[Program, ...]]:
    """Return who is asked for code of the host and of guests; a guest may run what is named by itself."""
    host = tuple(p for p in known if not p.guest)
    guest = tuple(p for p in known if p.guest)
    return {False: host, True: (*guest, *(p for p in host if p.name != "host"))}


class Locator:
    """Answers what is at an instruction's address."""

    def __init__(
        self, known: Sequence[Program], code_pages: Mapping[int, bytes] | None = None
    ) -> None:
        """`code_pages`: bytes of 4 KiB pages of guest RAM by PA, for finding where images lie."""
        self._programs = tuple(known)
        self._by_world = _by_world(known)
        self._pages = code_pages or {}
        self._slides: dict[Program, int] = {}  # KASLR: VA minus link address, where seen
        self._lines: dict[str, LineTable | None] = {}  # by file

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, with load addresses that were found since."""
        return self._programs

    @property
    def found(self) -> tuple[tuple[str, int | None, int | None], ...]:
        """What was found out so far; while it is the same, `known` answers the same."""
        return tuple((p.name, p.load, self._slides.get(p)) for p in self._programs)

    def settle(self, places: Sequence[Where]) -> None:
        """Find load addresses that nobody gave, from code pages that were executed."""
        guest_images = [p for p in self._programs if p.guest]
        if not any(p.table.image for p in guest_images):
            guest_images += [  # a guest often runs the kernel that the host runs
                Program("guest", p.table, None, p.size or len(p.table.image))
                for p in self._programs
                if p.table.image
            ]
        settled: list[Program] = []
        for program in (*(p for p in self._programs if not p.guest), *guest_images):
            if program.load is None and program.table.image:
                mine = [w for w in places if w.vm == program.guest]
                found = self._find_load(program, mine)
                program = program if found is None else replace(program, load=found)
            if program in self._programs or program.load is not None:
                settled.append(program)
        self._programs = tuple(settled)
        self._by_world = _by_world(settled)
        for place in places:
            for program in self._programs:
                slide = program.slide_at(place) if program.guest == place.vm else None
                if slide is not None:
                    self._slides[program] = slide

    def _find_load(self, program: Program, places: Sequence[Where]) -> int | None:
        votes: dict[int, int] = {}
        for page in {(w.physical & -_PAGE, w.pc_pa & -_PAGE) for w in places}:
            physical, pa = page
            code = self._pages.get(pa)
            if code is None or physical == NO_ADDRESS & -_PAGE:
                continue
            best = max(
                (
                    (_similarity(code, program.table.image, offset), physical - offset)
                    for offset in _offsets(physical, program.table.image)
                ),
                default=(0.0, 0),
            )
            if best[0] >= _SAME_WORDS:
                votes[best[1]] = votes.get(best[1], 0) + 1
        return max(votes, key=lambda load_at: (votes[load_at], -load_at)) if votes else None

    def symbol(self, where: Where) -> str | None:
        """Return `name+0xoffset`, None when no table knows the address."""
        return next((symbol for symbol, _, _ in self.known(where)), None)

    def source(self, where: Where) -> SourceLine | None:
        """Return the line of source, None when the program that has it was given without DWARF."""
        for _, program, address in self.known(where):
            file = program.table.source
            if file not in self._lines:
                self._lines[file] = lines.load(file)
            table = self._lines[file]
            found = table.find(address) if table is not None else None
            if found is not None:
                return found
        return None

    def known(self, where: Where) -> Iterator[tuple[str, Program, int]]:
        """Yield what is at a place: symbol, program and link address there, the likeliest first."""
        programs = self._by_world[where.vm]
        known = where.physical != NO_ADDRESS
        # Where it is not known the PC is the address itself, if the MMU was off or the map flat.
        physical = where.physical if known else where.pc
        for program in programs:
            if where.el0 and program.in_upper_half:
                continue  # a page of the kernel's start-up code, which it has given away since
            address = program.linked_at(physical)
            found = None if address is None else program.table.lookup(address)
            if address is not None and found:
                yield found, program, address
        for program in programs:
            if known and program.guest and program.load is not None and program.table.image:
                continue  # the image lies elsewhere: at this VA is other code
            address = where.pc - self._slides.get(program, 0)
            found = program.table.lookup(address)
            if found:
                yield found, program, address

    def find(self, name: str) -> list[Place]:
        """Return the places of every function of that name, for a `--drop` rule.

        Where the load address is known the rule is physical, which holds under KASLR and at EL2,
        and does not hit another kernel at the same VA.
        """
        found: list[Place] = []
        for program in self._programs:
            table = program.table
            for span in table.ranges(name):
                if program.load is not None and table.base is not None and not program.guest:
                    delta = program.load - table.base
                    physical = Range(span.low + delta, span.high + delta)
                    inside = 0 <= span.low - table.base < (program.size or NO_ADDRESS)
                    found.append(Place("pc_pa", physical) if inside else Place("pc", span))
                else:
                    found.append(Place("pc", span))
        return found

    def similar(self, name: str) -> list[str]:
        """Return names that `name` may be a misspelling of."""
        return list(dict.fromkeys(n for p in self._programs for n in p.table.similar(name)))[:3]


def _offsets(physical: int, image: bytes) -> range:
    """Return the image offsets that a page may have, images lying on 2 MiB boundaries."""
    head = header(image)
    text_offset = head.text_offset if head else 0
    return range((physical - text_offset) % _LOAD_ALIGN, len(image) - _PAGE, _LOAD_ALIGN)


def _similarity(page: bytes, image: bytes, offset: int) -> float:
    """Return the share of equal words, leaving out words that are zero in the image."""
    theirs = memoryview(image)[offset : offset + _PAGE].cast("I")
    pairs = [(a, b) for a, b in zip(memoryview(page).cast("I"), theirs, strict=True) if b]
    return sum(a == b for a, b in pairs) / len(pairs) if len(pairs) >= 16 else 0.0
