"""From raw records to the rows of a trace: sorted by line, names for numbers, one table a shard.

Works on a generation at a time and on whole columns: a Python loop over records would take longer than
the machine that makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pocwatch.trace import raw, schema
from pocwatch.trace.arrow import dictionary, nullable
from pocwatch.trace.errors import RecordingError
from pocwatch.trace.raw import NO_ADDRESS, Mark
from pocwatch.trace.records import Flag, Why

TRACED: Any = np.dtype(raw.Traced)
FLAGS = {
    "vm": Flag.VM,
    "mmu": Flag.MMU_ON,
    "dropped": Flag.DROPPED,
    "weakened": Flag.WEAKENED,
    "upgraded": Flag.UPGRADED,
    "completed": Flag.COMPLETED,
    "all_pes": raw.ALL_PES,
}
_DEVICE_OPS = ("rd", "wr")
_PLACE: Any = np.dtype(
    [
        *[("pc", "u8"), ("pa", "u8"), ("ipa", "u8")],  # `ipa` of a SITE: the encoding
        *[("symbol", "i4"), ("el", "u1"), ("vm", "?"), ("known", "?"), ("named", "?")],
    ]
)
# In `writer`: plugin/history.h, pw_who_of.
WHO_SITE, WHO_KIND, WHO_VM, WHO_MMU, WHO_PE = 0xFF_FFFF, 24, 26, 27, 28


class Place(NamedTuple):
    """Where an instruction was executed; `pc_ipa` is NO_ADDRESS outside a VM."""

    pc: int
    pc_pa: int
    pc_ipa: int
    vm: bool
    el: int


class Names(Protocol):
    """Who knows symbols."""

    def symbols(self, places: Sequence[Place]) -> Sequence[str | None]:
        """Return the symbols of instructions that have just been executed for the first time."""


class _Places:
    """Instructions or frames by number, with symbols once they were used. 0 stands for none."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.items = _no_places(1024)
        self.items["known"][0] = self.items["named"][0] = True

    def learn(self, numbers: Any, records: Any) -> None:
        """Take in marks."""
        size = int(numbers.max(initial=0)) + 1
        if size > len(self.items):
            more = _no_places(max(size, 2 * len(self.items)) - len(self.items))
            self.items = np.concatenate([self.items, more])
        new = self.items[numbers]
        new["pc"], new["pa"], new["ipa"] = records["va"], records["pa"], records["ipa"]
        new["el"], new["vm"], new["known"] = records["el"], records["vm_id"] != 0, True
        self.items[numbers] = new

    def check(self, numbers: Any) -> None:
        """Refuse numbers that no mark gave."""
        most = int(numbers.max(initial=0))
        known = most < len(self.items) and self.items["known"][numbers]
        if np.all(known):
            return
        first = most if most >= len(self.items) else int(numbers[~known][0])
        raise RecordingError(
            f"the raw trace uses number {first} of its {self._what} before it says what it is: the "
            "plugin and this package are of different versions; install pocwatch again"
        )


def _no_places(count: int) -> Any:
    items = np.zeros(count, _PLACE)
    items["pc"] = items["pa"] = NO_ADDRESS
    items["symbol"] = -1
    return items


class Encoder:
    """Makes tables of raw records; remembers instructions, stacks and their names."""

    def __init__(self, names: Names, ops: Mapping[int, str], kinds: Sequence[str]) -> None:
        self._names = names
        self._ops = [ops.get(n) or schema.MARKS.get(n) or f"op {n}" for n in range(256)]
        self._kinds = [*kinds, *(f"kind {n}" for n in range(len(kinds), 256))]
        devices = {n for n, op in ops.items() if op in _DEVICE_OPS}
        self._is_device = np.array([n in devices for n in range(256)])
        self._sites = _Places("instructions")
        self._frames = _Places("stack frames")
        self._callers: dict[int, int] = {}
        self._symbols: list[str] = []
        self._symbol_numbers: dict[str, int] = {}
        self._stacks: dict[int, str] = {}  # by innermost frame
        self._last_seq = 0

    def tables(self, records: Any) -> Iterator[tuple[int | None, Any, Any]]:
        """Yield shard, table and its records in the same order, for a generation of raw records."""
        op = records["op"]
        marks = records[op == Mark.SITE]
        self._sites.learn(marks["site"], marks)
        marks = records[op == Mark.STACK]
        self._frames.learn(marks["stack"], marks)
        self._callers.update(zip(marks["stack"].tolist(), marks["writer"].tolist(), strict=True))
        rows = records[op != Mark.SITE]
        if not len(rows):
            return
        rows["seq"] = self._times(rows)
        frame = rows["op"] == Mark.STACK
        none = frame | (rows["pa"] == NO_ADDRESS)
        line = np.where(none, 0, rows["pa"] & ~np.uint64(schema.LINE_BYTES - 1))
        shard = np.where(none, schema.SHARDS, schema.shard_of(rows["pa"])).astype(np.uint64)
        # by shard and line, in the order of arrival; addresses have at most 52 bits
        order = np.argsort(shard << np.uint64(58) | line >> np.uint64(6), kind="stable")
        rows, shard = rows[order], shard[order]
        columns = self._columns(rows, line[order])
        ends: Any = np.searchsorted(shard, np.arange(schema.SHARDS + 1), side="right")
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                part = slice(start, end)
                yield (
                    None if number == schema.SHARDS else number,
                    _table(columns, part),
                    rows[part],
                )
            start = end

    def _times(self, rows: Any) -> Any:
        """Return `seq` of rows; a `writer` without one gets that of the next row with one."""
        seq = rows["seq"].copy()
        absent = (seq == 0) & (rows["op"] == Mark.WRITER)
        known = np.where(seq == 0, np.uint64(NO_ADDRESS), seq)
        following = np.minimum.accumulate(known[::-1])[::-1]
        self._last_seq = max(self._last_seq, int(seq.max()))
        seq[absent] = np.minimum(following[absent], np.uint64(self._last_seq + 1))
        return seq

    def _columns(self, rows: Any, line: Any) -> dict[str, Any]:
        """Return the columns as NumPy arrays; (indices, values) for text, (values, null) if nullable."""
        op = np.ascontiguousarray(rows["op"])
        writer, frame, content = (op == m for m in (Mark.WRITER, Mark.STACK, Mark.CONTENT))
        who = rows["writer"]
        number = np.where(writer, who & WHO_SITE, rows["site"])
        self._sites.check(number)
        self._frames.check(rows["stack"])
        self._name(rows, number)
        site, caller = self._sites.items[number], self._frames.items[rows["stack"]]
        stack = np.where(frame, 0, rows["stack"])
        of_writer = (who >> WHO_VM & 1) * Flag.VM + (who >> WHO_MMU & 1) * Flag.MMU_ON
        flags = np.where(writer, of_writer, np.where(frame, 0, rows["flags"]))
        pc, pc_pa = (np.where(frame, caller[f], site[f]) for f in ("pc", "pa"))
        has_code = (number > 0) | frame
        of_line = (line > 0) | (~frame & (rows["pa"] != NO_ADDRESS))
        columns: dict[str, Any] = {
            "seq": rows["seq"],
            "instructions": rows["instructions"],
            "op": (op.astype(np.int32), self._ops),
            "agent": _agents(np.where(writer, who >> WHO_PE, rows["pe"]), self._is_device[op]),
            "kind": (np.where(writer, who >> WHO_KIND & 3, rows["kind"]).astype(np.int32), self._kinds),
            "line": (line, ~of_line),
            "pa": (rows["pa"], ~of_line),
            "va": (rows["va"], content | frame | (rows["va"] == NO_ADDRESS)),
            "ipa": (rows["ipa"], rows["ipa"] == NO_ADDRESS),
            "size": rows["size"],
            "el": np.where(writer, site["el"], rows["el"]),
            "vm_id": rows["vm_id"],
            **{name: flags & int(flag) != 0 for name, flag in FLAGS.items()},
            "link": frame & (rows["flags"] & 1 != 0),
            "why": _named_bits(rows["why"]),
            "s1_mair": rows["s1_mair"],
            "s2_attr": (rows["s2_attr"], rows["s2_attr"] == 0xFF),
            "pc": (pc, ~has_code),
            "pc_pa": (pc_pa, ~has_code | (pc_pa == NO_ADDRESS)),
            "fetch_ipa": (rows["fetch_ipa"], rows["fetch_ipa"] == NO_ADDRESS),
            "insn": ((site["ipa"] & 0xFFFF_FFFF).astype(np.uint32), number == 0),
            "symbol": (np.where(frame, caller["symbol"], site["symbol"]), self._symbols),
            "stack": self._folded(stack),
            "stack_id": (rows["stack"], rows["stack"] == 0),
            "site": (rows["site"], rows["site"] == 0),
            "writer": (who, ~(writer | frame)),
            "value": (rows["va"], ~content),
        }
        return {name: columns[name] for name in schema.NAMES}

    def _name(self, rows: Any, number: Any) -> None:
        """Find the symbols of instructions that were not seen before."""
        items = self._sites.items
        new = np.flatnonzero(~items["named"][number])
        if not len(new):
            return
        found, first = np.unique(number[new], return_index=True)
        at = new[first]
        page = rows["fetch_ipa"][at]
        inside = items["pc"][found] & np.uint64(0xFFF)
        ipa = np.where(page == NO_ADDRESS, page, page & ~np.uint64(0xFFF) | inside)
        self._give_names(items, found, ipa, rows["flags"][at] & Flag.VM != 0)

    def _give_names(self, items: Any, found: Any, ipa: Any, vm: Any) -> None:
        columns = (items["pc"][found], items["pa"][found], ipa, vm, items["el"][found])
        places = [Place(*each) for each in zip(*(c.tolist() for c in columns), strict=True)]
        symbols = self._names.symbols(places)
        items["symbol"][found] = [-1 if s is None else self._symbol(s) for s in symbols]
        items["named"][found] = True

    def _symbol(self, name: str) -> int:
        number = self._symbol_numbers.setdefault(name, len(self._symbols))
        if number == len(self._symbols):
            self._symbols.append(name)
        return number

    def _folded(self, stack: Any) -> tuple[Any, list[str]]:
        """Return, for each row, which of the folded stacks it has, and these."""
        used, inverse = np.unique(stack, return_inverse=True)
        chains = {n: self._chain(n) for n in used.tolist() if n and n not in self._stacks}
        items = self._frames.items
        frames = np.unique(np.array([f for chain in chains.values() for f in chain], np.int64))
        frames = frames[~items["named"][frames]]
        if len(frames):
            self._give_names(items, frames, items["ipa"][frames], items["vm"][frames])
        for number, chain in chains.items():
            self._stacks[number] = ";".join(map(self._function, reversed(chain)))
        values = [self._stacks.get(number, "") for number in used.tolist()]
        return np.where(stack == 0, np.int32(-1), inverse.astype(np.int32)), values

    def _chain(self, number: int) -> list[int]:
        """Return the frames of a stack, innermost first; callers are older than what they call."""
        chain: list[int] = []
        while number in self._callers and len(chain) < 256:
            chain.append(number)
            caller = self._callers[number]
            number = caller if caller < number else 0
        return chain

    def _function(self, frame: int) -> str:
        symbol = int(self._frames.items["symbol"][frame])
        if symbol < 0:
            return f"{int(self._frames.items['pc'][frame]):#x}"
        return self._symbols[symbol].partition("+")[0]


def _agents(pe: Any, device: Any) -> tuple[Any, list[str]]:
    """Return the column `agent`."""
    names = [f"P{n}" for n in range(256)] + [f"D{n}" for n in range(256)]
    return pe.astype(np.int32) + np.int32(256) * device, names


def _named_bits(why: Any) -> tuple[Any, list[str]]:
    """Return the column `why`."""
    used, inverse = np.unique(why, return_inverse=True)
    return inverse.astype(np.int32), [spell_why(int(value)) for value in used]


def spell_why(value: int) -> str:
    """Return the names of the bits of `Why` that are set, joined by `|`."""
    names = [w.name or "" for w in Why if value & w]
    unknown = value & ~sum(Why)
    return "|".join(names + ([f"{unknown:#x}"] if unknown else []))


def read_why(text: str) -> int:
    """Return the number that `spell_why` spelled."""
    words = text.split("|") if text else []
    return sum(int(w, 16) if w.startswith("0x") else int(Why[w]) for w in words)


def _table(columns: Mapping[str, Any], part: slice) -> Any:
    """Return the Arrow table of some rows."""
    import pyarrow as pa

    arrays = []
    for column in schema.COLUMNS:
        values = columns[column.name]
        if column.type == "text":
            arrays.append(dictionary(values[0][part], values[1]))
        elif column.null:
            arrays.append(nullable(np.ascontiguousarray(values[0][part]), values[1][part]))
        else:
            arrays.append(pa.array(np.ascontiguousarray(values[part])))
    return pa.Table.from_arrays(arrays, schema=schema.arrow())
