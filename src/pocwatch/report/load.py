"""A saved JSON report as the record that it was made from: `render` and `load` are inverses.

What is derived (`fingerprint`, `mmu`, `attributes`, an event's `agent`) is not read but made again.
Reports that were written before a key was added are still of the same schema: such a key is optional.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pocwatch import platforms
from pocwatch.arch.ops import BY_SPELLING, Kind, Op
from pocwatch.platforms import Platform
from pocwatch.report import jsonl
from pocwatch.report.json import SCHEMA
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import (
    Access,
    Device,
    Event,
    Finding,
    Frame,
    Known,
    Line,
    Maintenance,
    Report,
    Suppressed,
)
from pocwatch.sanitizer.symbols.lines import SourceLine
from pocwatch.trace.records import Flag, Why

_T = TypeVar("_T")
_F = TypeVar("_F", bound=enum.IntFlag)
_KINDS = {kind.name.lower(): kind for kind in Kind}
_JSON_TYPES = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class _Table:
    """A JSON object, and where it lies in the file, for errors."""

    values: dict[str, Any]
    where: str

    def wrong(self, key: str, accepted: str) -> UsageError:
        """Return the error that names key, value and what is accepted."""
        got = repr(self.values[key])[:60] if key in self.values else "missing"
        return UsageError(f"{self.where}{key} is {got}; it must be {accepted}")

    def get(self, key: str, kind: type[_T]) -> _T:
        """Return a value of this very type: true is no number."""
        value = self.values.get(key)
        if type(value) is not kind:
            raise self.wrong(key, _JSON_TYPES.get(kind, "a whole number"))
        return value

    def maybe(self, key: str, kind: type[_T]) -> _T | None:
        """Return a value, None for null."""
        return None if self.values.get(key, self) is None else self.get(key, kind)

    def word(self, key: str, known: dict[str, _T]) -> _T:
        """Return what a word stands for."""
        value = self.get(key, str)
        if value not in known:
            raise self.wrong(key, f"one of {', '.join(known)}")
        return known[value]

    def number(self, key: str) -> int:
        """Return a number that is written in hex."""
        try:
            return int(self.get(key, str), 16)
        except ValueError:
            raise self.wrong(key, "a number in hex, such as 0x80200000") from None

    def maybe_number(self, key: str) -> int | None:
        """Return a number that is written in hex, None for null."""
        return None if self.maybe(key, str) is None else self.number(key)

    def flags(self, key: str, kind: type[_F]) -> _F:
        """Return flags, given in words."""
        known = {str(flag.name).lower(): flag for flag in kind}
        found = kind(0)
        for value in self.get(key, list):
            if value not in known:
                raise self.wrong(key, f"words of {', '.join(known)}")
            found |= known[value]
        return found

    def all_of(self, key: str, kind: type[_T]) -> tuple[_T, ...]:
        """Return an array whose values are of one type."""
        values = self.get(key, list)
        if any(type(value) is not kind for value in values):
            raise self.wrong(key, f"an array, each {_JSON_TYPES.get(kind, 'a whole number')}")
        return tuple(values)

    def counts(self, key: str) -> dict[str, int]:
        """Return an object whose values are numbers."""
        values = self.get(key, dict)
        if any(type(value) is not int for value in values.values()):
            raise self.wrong(key, "an object of whole numbers")
        return values

    def table(self, key: str) -> _Table:
        """Return an object inside this one."""
        return _Table(self.get(key, dict), f"{self.where}{key}.")

    def maybe_table(self, key: str) -> _Table | None:
        """Return an object inside this one, None for null."""
        return None if self.maybe(key, dict) is None else self.table(key)

    def each(self, key: str, read: Callable[[_Table], _T]) -> tuple[_T, ...]:
        """Read an array of objects."""
        return tuple(
            read(_Table(value, f"{self.where}{key}[{index}]."))
            for index, value in enumerate(self.all_of(key, dict))
        )


def load(path: Path) -> Report:
    """Read a report's file. Raise UsageError naming what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: cannot be read ({reason}); give a report of --json") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Report:
    """Read a report's text, JSON or JSON Lines. Raise UsageError naming what is wrong."""
    if text.startswith('{"type": "header"'):
        values = _of_lines(text.rstrip("\n").split("\n"), source)
    else:
        values = _json(text, source)
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        said = f"its schema is {schema!r}" if schema is not None else "it names no schema"
        raise UsageError(
            f"{source}: {said}; this version of pocwatch reads {SCHEMA!r}, which "
            "`pocwatch run --json` writes"
        )
    return _report(_Table(values, f"{source}: "))


def _json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: is not JSON ({error}); give a report of --json") from None


def _of_lines(lines: list[str], source: str) -> dict[str, Any]:
    """Return the values of a report from its lines. Raise UsageError when the summary is missing."""
    header, *findings = (
        _json(line, f"{source}: line {number}") for number, line in enumerate(lines, 1)
    )
    summary = findings.pop() if findings else None
    if not isinstance(summary, dict) or summary.get("type") != "summary":
        raise UsageError(f"{source}: ends without its summary line; it was not written to its end")
    values = {**header, **summary, "findings": findings}
    if header.get("schema") == jsonl.SCHEMA:
        values["schema"] = SCHEMA
    return values


def _report(table: _Table) -> Report:
    return Report(
        complete=table.get("complete", bool),
        platform=table.get("platform", str),
        qemu=table.get("qemu", str),
        command=table.all_of("command", str),
        instructions=table.get("instructions", int),
        accesses=table.get("accesses", int),
        fetches=table.get("fetches", int),
        walks=table.get("walks", int),
        devices=table.each("devices", _device) if "devices" in table.values else (),
        maintenance=table.counts("maintenance"),
        redundant=table.counts("redundant"),
        dropped=table.counts("dropped"),
        findings=table.each("findings", finding),
        suppressed=table.each("suppressed", _suppressed),
        known=_known(table.maybe_table("known")),
        warnings=table.all_of("warnings", str),
        failure=table.maybe("failure", str),
        machine_failed=table.get("machine_failed", bool),
        definition=_platform(table.maybe_table("platform_definition")),
        watched=table.get("watched", bool),
    )


def _device(table: _Table) -> Device:
    return Device(
        name=table.get("name", str),
        coherent=table.get("coherent", bool),
        lines_read=table.get("lines_read", int),
        lines_written=table.get("lines_written", int),
    )


def _known(table: _Table | None) -> Known | None:
    if table is None:
        return None
    return Known(table.get("baseline", str), table.get("count", int), table.get("occurrences", int))


def _platform(table: _Table | None) -> Platform | None:
    if table is None:
        return None
    keys = {key: value for key, value in table.values.items() if key != "name"}
    try:
        return platforms.of_table(keys, table.get("name", str))
    except platforms.PlatformError as error:
        raise UsageError(f"{table.where.removesuffix('.')}: {error}") from None


def _suppressed(table: _Table) -> Suppressed:
    return Suppressed(
        rule=table.get("rule", str),
        count=table.get("count", int),
        occurrences=table.get("occurrences", int),
        reason=table.get("reason", str),
        findings=table.each("findings", finding) if "findings" in table.values else (),
    )


def finding(table: _Table) -> Finding:
    """Return a finding from its JSON object."""
    return Finding(
        kind=table.get("kind", str),
        count=table.get("count", int),
        instructions=table.get("first_seen_at_instruction", int),
        access=_access(table.table("access")),
        writer=_writer(table.table("writer")),
        maintenance=table.each("maintenance", _maintenance),
        history=table.each("history", _event),
        history_truncated=table.get("history_truncated", bool),
        line=_line(table.table("line")),
        rule=table.get("rule", str),
        repair=table.all_of("repair", str),
    )


def _line(table: _Table) -> Line:
    line = Line(
        pa=table.number("pa"),
        size=table.get("size", int),
        stale_cell=table.get("stale_cell", int),
        states=table.all_of("states", int),
        state_text=table.all_of("state_text", str),
    )
    if not 0 <= line.stale_cell < len(line.states):
        raise table.wrong("stale_cell", f"from 0 to {len(line.states) - 1}, a cell of `states`")
    return line


def _maintenance(table: _Table) -> Maintenance:
    return Maintenance(_event(table), table.get("why_not_enough", str))


def _writer(table: _Table) -> Event | None:
    return None if table.maybe("agent", str) is None else _event(table)


def _access(table: _Table) -> Access:
    return Access(
        op=table.word("op", BY_SPELLING),
        kind=table.word("kind", _KINDS),
        size=table.get("size", int),
        pe=table.get("pe", int),
        el=table.get("el", int),
        vm_id=table.get("vm_id", int),
        flags=table.flags("flags", Flag),
        why=table.flags("why", Why),
        pc=table.number("pc"),
        pc_pa=table.maybe_number("pc_pa"),
        pc_ipa=table.maybe_number("pc_ipa"),
        symbol=table.maybe("symbol", str),
        insn=table.number("instruction"),
        va=table.number("va"),
        ipa=table.maybe_number("ipa"),
        pa=table.number("pa"),
        s1_mair=table.get("s1_mair", int),
        s2_attr=table.maybe("s2_attr", int),
        source=_source(table.maybe_table("source")),
        stack=_stack(table),
        device=_name_of_device(table),
        device_number=table.get("device_number", int) if "device_number" in table.values else 0,
    )


def _name_of_device(table: _Table) -> str | None:
    return table.maybe("device", str) if "device" in table.values else None



def _event(table: _Table) -> Event:
    op: Op = table.word("op", BY_SPELLING)
    return Event(
        seq=table.get("seq", int),
        op=op,
        kind=table.word("kind", _KINDS),
        pe=table.get("pe", int),
        el=table.get("el", int),
        vm_id=table.get("vm_id", int),
        flags=table.flags("flags", Flag),
        cells=sum(1 << cell for cell in set(table.all_of("cells", int)) if 0 <= cell < 64),
        pc=table.number("pc"),
        pc_pa=table.maybe_number("pc_pa"),
        pc_ipa=table.maybe_number("pc_ipa"),
        symbol=table.maybe("symbol", str),
        rule=table.maybe("rule", str),
        source=_source(table.maybe_table("source")),
        stack=_stack(table),
        device=_name_of_device(table),
    )


def _stack(table: _Table) -> tuple[Frame, ...]:
    return table.each("stack", _frame) if "stack" in table.values else ()


def _frame(table: _Table) -> Frame:
    source = _source(table.maybe_table("source"))
    return Frame(table.number("pc"), table.maybe("symbol", str), source)


def _source(table: _Table | None) -> SourceLine | None:
    return None if table is None else SourceLine(table.get("file", str), table.get("line", int))
