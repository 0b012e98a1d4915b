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
_AGENTS = [f"P{n}" for n in range(256)] + [f"D{n}" for n in range(256)]
_NO_ROW = np.uint64(NO_ADDRESS)
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
        """Yield shard, table and its records in the same order, for a generation of raw records.

        Changes the records' `seq` and `instructions` where they are 0: see `schema`.
        """
        op = np.ascontiguousarray(records["op"])
        marks = records[op == Mark.SITE]
        self._sites.learn(marks["site"], marks)
        marks = records[op == Mark.STACK]
        self._frames.learn(marks["stack"], marks)
        self._callers.update(zip(marks["stack"].tolist(), marks["writer"].tolist(), strict=True))
        self._fill_times(records, op)
        pa = np.ascontiguousarray(records["pa"])
        none = (pa == NO_ADDRESS) | (op == Mark.STACK)
        # By shard and line, in the order of arrival; addresses have at most 52 bits.
        line = pa >> np.uint64(6)
        key = schema.shard_of(pa) << np.uint64(56) | line
        key[none] = schema.SHARDS << 56
        key[op == Mark.SITE] = _NO_ROW
        order = np.argsort(key, kind="stable")
        key = key[order]
        edges: Any = np.arange(1, schema.SHARDS + 2, dtype=np.uint64) << np.uint64(56)
        ends: Any = np.searchsorted(key, edges)
        if not ends[-1]:
            return
        rows = _taken(records, order[: ends[-1]])
        columns = self._columns(rows, int(ends[-2]))
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                part = slice(start, end)
                shard = None if number == schema.SHARDS else number
                yield shard, _table(columns, part), rows[part]
            start = end

    def _fill_times(self, records: Any, op: Any) -> None:
        """Give a `writer` the `seq` of the next row with one, and rows that others refer to the next
        count of instructions."""
        absent = np.flatnonzero((op == Mark.WRITER) & (records["seq"] == 0))
        seq = records["seq"]
        self._last_seq = max(self._last_seq, int(seq.max(initial=0)))
        if len(absent):
            following = _following(seq, self._last_seq + 1)
            seq[absent] = following[absent]
        records["instructions"] = _following(records["instructions"], 0)

    def _columns(self, rows: Any, of_line: int) -> dict[str, Any]:
        """Return the columns as NumPy arrays; (indices, values) for text, (values, null) if nullable.

        The first `of_line` rows are of lines. Few rows are others' marks: what is special about these
        is put in by position.
        """
        get = {
            name: np.ascontiguousarray(rows[name]) for name in TRACED.names if name != "reserved"
        }
        op, none = get["op"], np.arange(len(rows)) >= of_line
        writer, frame, content = (
            np.flatnonzero(op == m) for m in (Mark.WRITER, Mark.STACK, Mark.CONTENT)
        )
        who, flags = get["writer"][writer], get["flags"].copy()
        number = get["site"].copy()
        number[writer] = who & WHO_SITE
        self._sites.check(number)
        self._frames.check(get["stack"])
        self._name(get, number)
        site = {f: self._sites.items[f][number] for f in ("pc", "pa", "ipa", "symbol")}
        caller = self._frames.items[get["stack"][frame]]
        for field in ("pc", "pa", "symbol"):
            site[field][frame] = caller[field]
        no_code = number == 0
        no_code[frame] = False
        link: Any = np.zeros(len(rows), bool)
        link[frame] = flags[frame] & 1 != 0
        flags[frame] = 0
        flags[writer] = (who >> WHO_VM & 1) * Flag.VM + (who >> WHO_MMU & 1) * Flag.MMU_ON
        agent = get["pe"].astype(np.int32) + np.int32(256) * self._is_device[op]
        agent[writer] = who >> WHO_PE
        kind = get["kind"].astype(np.int32)
        kind[writer] = who >> WHO_KIND & 3
        el = get["el"]
        el[writer] = self._sites.items["el"][number[writer]]
        no_va = get["va"] == NO_ADDRESS
        no_va[content] = no_va[frame] = True
        no_value: Any = np.ones(len(rows), bool)
        no_writer = no_value.copy()
        no_value[content] = no_writer[writer] = no_writer[frame] = False
        stack = get["stack"].copy()
        stack[frame] = 0
        return {
            "seq": get["seq"],
            "instructions": get["instructions"],
            "op": (op.astype(np.int32), self._ops),
            "agent": (agent, _AGENTS),
            "kind": (kind, self._kinds),
            "line": (get["pa"] & ~np.uint64(schema.LINE_BYTES - 1), none),
            "pa": (get["pa"], none),
            "va": (get["va"], no_va),
            "ipa": (get["ipa"], get["ipa"] == NO_ADDRESS),
            "size": get["size"],
            "el": el,
            "vm_id": get["vm_id"],
            **{name: flags & int(flag) != 0 for name, flag in FLAGS.items()},
            "link": link,
            "why": _named_bits(get["why"]),
            "s1_mair": get["s1_mair"],
            "s2_attr": (get["s2_attr"], get["s2_attr"] == 0xFF),
            "pc": (site["pc"], no_code),
            "pc_pa": (site["pa"], no_code | (site["pa"] == NO_ADDRESS)),
            "fetch_ipa": (get["fetch_ipa"], get["fetch_ipa"] == NO_ADDRESS),
            "insn": (site["ipa"].astype(np.uint32), number == 0),
            "symbol": (site["symbol"], self._symbols),
            "stack": self._folded(stack),
            "stack_id": (get["stack"], get["stack"] == 0),
            "site": (get["site"], get["site"] == 0),
            "writer": (get["writer"], no_writer),
            "value": (get["va"], no_value),
        }

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
        some = np.flatnonzero(stack)
        used, inverse = np.unique(stack[some], return_inverse=True)
        chains = {n: self._chain(n) for n in used.tolist() if n not in self._stacks}
        items = self._frames.items
        frames = np.unique(np.array([f for chain in chains.values() for f in chain], np.int64))
        frames = frames[~items["named"][frames]]
        if len(frames):
            self._give_names(items, frames, items["ipa"][frames], items["vm"][frames])
        for number, chain in chains.items():
            self._stacks[number] = ";".join(map(self._function, reversed(chain)))
        indices: Any = np.full(len(stack), -1, np.int32)
        indices[some] = inverse
        return indices, [self._stacks[number] for number in used.tolist()]

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


def _taken(records: Any, order: Any) -> Any:
    """Return records in an order; as rows of words, which NumPy moves faster than structures."""
    words = records.view(np.uint64).reshape(len(records), -1)
    return words.take(order, axis=0).reshape(-1).view(TRACED)


def _following(count: Any, last: int) -> Any:
    """Return counts that only grow, with the next for those that are 0; `last` if there is none."""
    known = np.where(count == 0, np.uint64(NO_ADDRESS), count)
    following = np.minimum.accumulate(known[::-1])[::-1]
    following[following == NO_ADDRESS] = last
    return np.where(count == 0, following, count)


def _named_bits(why: Any) -> tuple[Any, list[str]]:
    """Return the column `why`."""
    used = np.flatnonzero(np.bincount(why, minlength=1))
    numbers: Any = np.zeros(int(used.max(initial=0)) + 1, np.int32)
    numbers[used] = np.arange(len(used))
    return numbers[why], [spell_why(int(value)) for value in used]


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
