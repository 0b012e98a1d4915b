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
    [("pc", "u8"), ("pa", "u8"), ("insn", "u4"), ("el", "u1"), ("symbol", "i4"), ("named", "?")]
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
    """Instructions or frames by number, from 1, with symbols once they were used."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.items = np.zeros(1024, _PLACE)
        self.items["symbol"] = -1
        self.items[0]["pc"] = self.items[0]["pa"] = NO_ADDRESS
        self.items[0]["named"] = True
        self.n = 1

    def learn(self, numbers: Any, records: Any) -> None:
        """Take in marks. Their numbers must go on where the last ended."""
        end = self.n + len(records)
        if not np.array_equal(numbers, np.arange(self.n, end)):
            raise RecordingError(
                f"the raw trace numbers its {self._what} with gaps after {self.n - 1}: the plugin and "
                "this package are of different versions; install pocwatch again"
            )
        while end > len(self.items):
            more = np.zeros(len(self.items), _PLACE)
            more["symbol"] = -1
            self.items = np.concatenate([self.items, more])
        new = self.items[self.n : end]
        new["pc"], new["pa"], new["el"] = records["va"], records["pa"], records["el"]
        new["insn"] = records["ipa"] & 0xFFFF_FFFF
        self.n = end

    def check(self, numbers: Any) -> None:
        """Refuse numbers that no mark gave."""
        if len(numbers) and int(numbers.max()) >= self.n:
            raise RecordingError(
                f"the raw trace uses number {int(numbers.max())} of its {self._what} before it says "
                "what it is: the plugin and this package are of different versions; install pocwatch "
                "again"
            )


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
        self._callers: list[int] = [0]
        self._symbols: list[str] = []
        self._symbol_numbers: dict[str, int] = {}
        self._stacks: list[str | None] = [None]  # by innermost frame, filled when used
        self._last_seq = 0

    def tables(self, records: Any) -> Iterator[tuple[int | None, Any, Any]]:
        """Yield shard, table and its records in the same order, for a generation of raw records."""
        op = records["op"]
        marks = records[op == Mark.SITE]
        self._sites.learn(marks["site"], marks)
        marks = records[op == Mark.STACK]
        self._frames.learn(marks["stack"], marks)
        self._callers += marks["writer"].tolist()
        self._stacks += [None] * len(marks)
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
        flags = np.where(
            writer, (who >> WHO_VM & 1) * Flag.VM + (who >> WHO_MMU & 1) * Flag.MMU_ON, rows["flags"]
        )
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
            "why": _named_bits(rows["why"]),
            "s1_mair": rows["s1_mair"],
            "s2_attr": (rows["s2_attr"], rows["s2_attr"] == 0xFF),
            "pc": (pc, ~has_code),
            "pc_pa": (pc_pa, ~has_code | (pc_pa == NO_ADDRESS)),
            "fetch_ipa": (rows["fetch_ipa"], rows["fetch_ipa"] == NO_ADDRESS),
            "insn": (site["insn"], number == 0),
            "symbol": (np.where(frame, caller["symbol"], site["symbol"]), self._symbols),
            "stack": self._folded(stack, flags & Flag.VM != 0, rows["fetch_ipa"]),
            "stack_id": (rows["stack"], rows["stack"] == 0),
            "site": (rows["site"], rows["site"] == 0),
            "writer": (who, ~(writer | frame)),
            "value": (rows["va"], ~content),
        }
        return {name: columns[name] for name in schema.NAMES}

    def _name(self, rows: Any, number: Any) -> None:
        """Find the symbols of instructions that were not seen before."""
        new = np.flatnonzero(~self._sites.items["named"][number])
        if not len(new):
            return
        found, first = np.unique(number[new], return_index=True)
        at = new[first]
        vm = rows["flags"][at] & Flag.VM != 0
        self._give_names(self._sites.items, found, vm, rows["fetch_ipa"][at])

    def _give_names(self, items: Any, found: Any, vm: Any, fetch_ipa: Any) -> None:
        page = ~np.uint64(0xFFF)
        ipa = np.where(
            fetch_ipa == NO_ADDRESS, fetch_ipa, (fetch_ipa & page) | (items["pc"][found] & 0xFFF)
        )
        places = [
            Place(*each)
            for each in zip(
                *(items["pc"][found].tolist(), items["pa"][found].tolist(), ipa.tolist()),
                *(vm.tolist(), items["el"][found].tolist()),
                strict=True,
            )
        ]
        for at, name in zip(found.tolist(), self._names.symbols(places), strict=True):
            items["symbol"][at] = -1 if name is None else self._symbol(name)
        items["named"][found] = True

    def _symbol(self, name: str) -> int:
        number = self._symbol_numbers.setdefault(name, len(self._symbols))
        if number == len(self._symbols):
            self._symbols.append(name)
        return number

    def _folded(self, stack: Any, vm: Any, fetch_ipa: Any) -> tuple[Any, list[str]]:
        """Return, for each row, which of the folded stacks it has, and these."""
        used, first, inverse = np.unique(stack, return_index=True, return_inverse=True)
        chains = {number: self._chain(number) for number in used.tolist() if number}
        frames = self._frames.items
        new = [
            (frame, bool(vm[at]))
            for number, at in zip(used.tolist(), first.tolist(), strict=True)
            for frame in chains.get(number, ())
            if not frames["named"][frame]
        ]
        if new:
            in_vm = dict(reversed(new))
            found = np.array(sorted(in_vm))
            unknown: Any = np.full(len(found), NO_ADDRESS, np.uint64)
            self._give_names(frames, found, np.array([in_vm[f] for f in found.tolist()]), unknown)
        for number, chain in chains.items():
            if self._stacks[number] is None:
                self._stacks[number] = ";".join(map(self._function, reversed(chain)))
        values = [self._stacks[number] or "" for number in used.tolist()]
        indices = inverse.astype(np.int32)
        return np.where(stack == 0, np.int32(-1), indices), values

    def _chain(self, number: int) -> list[int]:
        """Return the frames of a stack, innermost first; callers are older than what they call."""
        chain: list[int] = []
        while number and len(chain) < 256:
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
