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
_NO_ROW, _ZERO = np.uint64(NO_ADDRESS), np.uint64(0)
_PLACE: Any = np.dtype(
    [
        *[("pc", "u8"), ("pa", "u8"), ("ipa", "u8")],  # `ipa` of a SITE: the encoding
        *[("symbol", "i4"), ("el", "u1"), ("vm", "?"), ("known", "?"), ("named", "?")],
    ]
)
# In `writer`: plugin/history.h, pw_who_of.
WHO_SITE, WHO_KIND, WHO_VM, WHO_MMU, WHO_PE = 0xFF_FFFF, 24, 26, 27, 28


# Words of a record: from `op` and from `size` on.
_CODED = (raw.Traced.op.offset // 8, raw.Traced.size.offset // 8)


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


class Part(NamedTuple):
    """The rows of a generation that are of one shard, None for what is of no line, as an Arrow table.

    `seq`, `line`: the smallest and largest in it.
    """

    shard: int | None
    table: Any
    seq: tuple[int, int]
    line: tuple[int, int]


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
        self._stacks: dict[int, str] = {0: ""}  # by innermost frame
        self._last_seq = 0

    def tables(self, records: Any) -> Iterator[Part]:
        """Yield the parts of a generation of raw records. Leaves the records as they are."""
        op, pa = (np.ascontiguousarray(records[name]) for name in ("op", "pa"))
        marks = records[op == Mark.SITE]
        self._sites.learn(marks["site"], marks)
        marks = records[op == Mark.STACK]
        self._frames.learn(marks["stack"], marks)
        self._callers.update(zip(marks["stack"].tolist(), marks["writer"].tolist(), strict=True))
        seq, instructions = self._times(records, op)
        # By shard and line, in the order of arrival; addresses have at most 52 bits.
        key = schema.shard_of(pa) << np.uint64(56) | pa >> np.uint64(6)
        key[(pa == NO_ADDRESS) | (op == Mark.STACK)] = schema.SHARDS << 56
        key[op == Mark.SITE] = _NO_ROW
        order = np.argsort(key, kind="stable")
        edges: Any = np.arange(1, schema.SHARDS + 2, dtype=np.uint64) << np.uint64(56)
        found: Any = np.searchsorted(key, edges, sorter=order)
        ends = found.tolist()
        order = order[: ends[-1]]
        if not ends[-1]:
            return
        rows, seq = _taken(records, order), seq[order]
        columns, coded = self._columns(rows, seq, instructions[order])
        start = 0
        for number, end in enumerate(ends):
            if end > start:
                part = slice(start, end)
                shard = None if number == schema.SHARDS else number
                line = columns["line"][0]
                yield Part(
                    shard,
                    _table({**columns, **coded.columns(part)}, part),
                    (int(seq[part].min()), int(seq[part].max())),
                    (0, 0) if shard is None else (int(line[start]), int(line[end - 1])),
                )
            start = end

    def _times(self, records: Any, op: Any) -> tuple[Any, Any]:
        """Return `seq` and `instructions`: a `writer` has the `seq` of the next row with one, and rows
        that others refer to have the next count of instructions."""
        seq, instructions = (np.ascontiguousarray(records[n]) for n in ("seq", "instructions"))
        self._last_seq = max(self._last_seq, int(seq.max(initial=0)))
        absent = np.flatnonzero((op == Mark.WRITER) & (seq == 0))
        if len(absent):
            seq = seq.copy()
            seq[absent] = _following(seq, self._last_seq + 1)[absent]
        return seq, _following(np.where(op == Mark.CONTENT, _ZERO, instructions), 0)

    def _columns(self, rows: Any, seq: Any, instructions: Any) -> tuple[dict[str, Any], Coded]:
        """Return the columns as NumPy arrays, (values, null) if nullable, (indices, values) for text;
        and those whose values are few.

        Few rows are others' marks: what is special about these is put in by position, also in `rows`.
        """
        op = np.ascontiguousarray(rows["op"])
        writer, frame, content = (
            np.flatnonzero(op == m) for m in (Mark.WRITER, Mark.STACK, Mark.CONTENT)
        )
        lines = _take_lines(rows, content)
        who = rows["writer"][writer]
        number = np.ascontiguousarray(rows["site"])
        site_number = number.copy() if len(writer) else number
        number[writer] = who & WHO_SITE
        stack = np.ascontiguousarray(rows["stack"])
        self._sites.check(number)
        self._frames.check(stack)
        self._name(rows, number)
        site = {f: self._sites.items[f][number] for f in ("pc", "pa", "ipa", "symbol")}
        no_code, no_insn = number == 0, number == 0
        caller = self._frames.items[stack[frame]]
        for field in ("pc", "pa", "symbol"):
            site[field][frame] = caller[field]
        no_code[frame] = False
        rows["va"][frame] = NO_ADDRESS
        rows["pe"][writer], rows["kind"][writer] = who >> WHO_PE, who >> WHO_KIND & 3
        rows["flags"][writer] = (who >> WHO_VM & 1) * Flag.VM + (who >> WHO_MMU & 1) * Flag.MMU_ON
        rows["el"][writer] = self._sites.items["el"][number[writer]]
        no_writer: Any = np.ones(len(rows), bool)
        no_writer[writer] = no_writer[frame] = False
        led = stack.copy()
        led[frame] = 0
        pa, va, ipa, fetch_ipa = (
            np.ascontiguousarray(rows[name]) for name in ("pa", "va", "ipa", "fetch_ipa")
        )
        none = pa == NO_ADDRESS
        none[frame] = True
        columns = {
            "seq": seq,
            "instructions": instructions,
            "line": (pa & ~np.uint64(schema.LINE_BYTES - 1), none),
            "pa": (pa, none),
            "va": (va, va == NO_ADDRESS),
            "ipa": (ipa, ipa == NO_ADDRESS),
            "pc": (site["pc"], no_code),
            "pc_pa": (site["pa"], no_code | (site["pa"] == NO_ADDRESS)),
            "fetch_ipa": (fetch_ipa, fetch_ipa == NO_ADDRESS),
            "insn": (site["ipa"].astype(np.uint32), no_insn),
            "symbol": (site["symbol"], self._symbols),
            "stack": self._folded(led),
            "stack_id": (stack, stack == 0),
            "site": (site_number, site_number == 0),
            "writer": (np.ascontiguousarray(rows["writer"]), no_writer),
            "value": (content, lines),
        }
        return columns, Coded(rows, self._ops, self._kinds, self._is_device)

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
        numbers, known = self._symbol_numbers, self._symbols
        for name in symbols:
            if name is not None and name not in numbers:
                numbers[name] = len(known)
                known.append(name)
        items["symbol"][found] = [-1 if name is None else numbers[name] for name in symbols]
        items["named"][found] = True

    def _folded(self, stack: Any) -> tuple[Any, list[str]]:
        """Return, for each row, which of the folded stacks it has, and these."""
        some = np.flatnonzero(stack)
        used, inverse = np.unique(stack[some], return_inverse=True)
        frames = sorted(self._new_frames(used.tolist()))
        unnamed = np.array(frames, np.int64)
        items = self._frames.items
        unnamed = unnamed[~items["named"][unnamed]]
        if len(unnamed):
            self._give_names(items, unnamed, items["ipa"][unnamed], items["vm"][unnamed])
        code = zip(items["symbol"][frames].tolist(), items["pc"][frames].tolist(), strict=True)
        for frame, (symbol, pc) in zip(frames, code, strict=True):  # callers first
            function = f"{pc:#x}" if symbol < 0 else self._symbols[symbol].partition("+")[0]
            before = self._stacks[self._caller(frame)]
            self._stacks[frame] = f"{before};{function}" if before else function
        indices: Any = np.full(len(stack), -1, np.int32)
        indices[some] = inverse
        return indices, [self._stacks[number] for number in used.tolist()]

    def _new_frames(self, numbers: Sequence[int]) -> set[int]:
        """Return those frames of some stacks that no stack before had."""
        new: set[int] = set()
        for frame in numbers:
            while frame not in self._stacks and frame not in new:
                new.add(frame)
                frame = self._caller(frame)
        return new

    def _caller(self, frame: int) -> int:
        """Return the number of a frame's caller, which is older; 0 for none."""
        caller = self._callers.get(frame, 0)
        return caller if caller < frame else 0


class Coded:
    """The columns of rows that have few different values: they follow from the words `_CODED` of a
    record, and what is different in these is looked at once."""

    def __init__(self, rows: Any, ops: Sequence[str], kinds: Sequence[str], is_device: Any) -> None:
        self._codes, words = _codes(words_of(rows), _CODED)
        self._count = len(words)
        few: Any = np.zeros((self._count, TRACED.itemsize // 8), np.uint64)
        few[:, _CODED] = words
        few = few.reshape(-1).view(TRACED)
        op, flags, frame = few["op"], few["flags"], few["op"] == Mark.STACK
        own = np.where(frame, 0, flags)
        self._numbers = {
            "size": few["size"],
            "el": few["el"],
            "vm_id": few["vm_id"],
            **{name: own & int(flag) != 0 for name, flag in FLAGS.items()},
            "link": frame & (flags & 1 != 0),
            "s1_mair": few["s1_mair"],
        }
        self._s2_attr = few["s2_attr"], few["s2_attr"] == 0xFF
        self._texts = {
            "op": [ops[n] for n in op.tolist()],
            "agent": [_AGENTS[n] for n in (few["pe"] + 256 * is_device[op]).tolist()],
            "kind": [kinds[n] for n in few["kind"].tolist()],
            "why": [spell_why(n) for n in few["why"].tolist()],
        }

    def columns(self, part: slice) -> dict[str, Any]:
        """Return the columns of some rows as Arrow arrays."""
        import pyarrow as pa

        codes = self._codes[part]
        used = np.flatnonzero(np.bincount(codes, minlength=self._count))
        made: dict[str, Any] = {}
        for name, values in self._numbers.items():
            same = bool((values[used] == values[used[0]]).all())
            made[name] = pa.array(
                np.full(len(codes), values[used[0]]) if same else values.take(codes)
            )
        values, absent = self._s2_attr
        made["s2_attr"] = nullable(values.take(codes), absent.take(codes))
        for name, texts in self._texts.items():
            numbers: dict[str, int] = {}
            number: Any = np.zeros(self._count, np.int32)
            number[used] = [numbers.setdefault(texts[n], len(numbers)) for n in used.tolist()]
            made[name] = pa.DictionaryArray.from_arrays(
                pa.array(number.take(codes)), pa.array(list(numbers), pa.string())
            )
        return made


def _codes(words: Any, which: Sequence[int]) -> tuple[Any, Any]:
    """Return for each row a number for what is in some of its words; and these words by number."""
    import pyarrow as pa

    codes: Any = np.zeros(len(words), np.int64)
    found: Any = np.zeros((1, 0), np.uint64)
    for word in which:
        coded = pa.array(np.ascontiguousarray(words[:, word])).dictionary_encode()
        values = coded.dictionary.to_numpy()
        codes = codes * len(values) + coded.indices.to_numpy()
        here = np.flatnonzero(np.bincount(codes, minlength=len(found) * len(values)))
        renumbered: Any = np.zeros(len(found) * len(values), np.int64)
        renumbered[here] = np.arange(len(here))
        codes = renumbered[codes]
        before, this = np.divmod(here, len(values))
        found = np.column_stack([found[before], values[this]])
    return codes.astype(np.int32), found


def words_of(records: Any) -> Any:
    """Return records as rows of words, which NumPy moves faster than structures."""
    return records.view(np.uint64).reshape(len(records), TRACED.itemsize // 8)


def _take_lines(rows: Any, content: Any) -> Any:
    """Return the bytes in some rows, which are `content`, and leave there what records without have."""
    lines = words_of(rows)[content, raw.CONTENT_AT // 8 :]
    words_of(rows)[content, raw.CONTENT_AT // 8 :] = 0
    for name in ("va", "ipa", "fetch_ipa"):
        rows[name][content] = NO_ADDRESS
    return lines


def _taken(records: Any, order: Any) -> Any:
    """Return records in an order."""
    return words_of(records).take(order, axis=0).reshape(-1).view(TRACED)


def _following(count: Any, last: int) -> Any:
    """Return counts that only grow, with the next for those that are 0; `last` if there is none."""
    known = np.where(count == 0, np.uint64(NO_ADDRESS), count)
    following = np.minimum.accumulate(known[::-1])[::-1]
    following[following == NO_ADDRESS] = last
    return np.where(count == 0, following, count)


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
        if isinstance(values, pa.Array):
            arrays.append(values)
        elif column.type == "binary":
            arrays.append(_lines(values[0], values[1], part))
        elif column.type == "text":
            arrays.append(dictionary(values[0][part], values[1]))
        elif column.null:
            arrays.append(nullable(values[0][part], values[1][part]))
        else:
            arrays.append(pa.array(values[part]))
    return pa.Table.from_arrays(arrays, schema=schema.arrow())


def _lines(positions: Any, lines: Any, part: slice) -> Any:
    """Return the bytes of lines at their positions, null elsewhere."""
    import pyarrow as pa

    edges: Any = np.searchsorted(positions, (part.start, part.stop))
    first, end = edges.tolist()
    here: Any = np.zeros(part.stop - part.start, bool)
    here[positions[first:end] - part.start] = True
    offsets: Any = np.zeros(len(here) + 1, np.int32)
    np.cumsum(here, out=offsets[1:], dtype=np.int32)
    offsets *= schema.LINE_BYTES
    buffers = (np.packbits(here, bitorder="little"), offsets, lines[first:end].reshape(-1))
    return pa.Array.from_buffers(pa.binary(), len(here), [pa.py_buffer(b) for b in buffers])
