"""The cache simulator, literally: slow, for readers and as the measure of the compiled kernel.

What it models. Private or shared set-associative write-back caches, all lines of one size, allocating
on loads, stores, fetches and walks. Neither inclusive nor exclusive: a miss fills every level up to
the one that had the line, an eviction leaves the levels before alone, and a dirty victim goes to the
next level, which allocates it. These are the moves of the line model, made when a real cache would.

- Write-back accesses only: Write-Through, Non-cacheable and Device data accesses go past the caches
  and ignore hits (Cortex-A35, A53 and A76 TRMs; fact C18). A Write-Through fetch uses the L1I and
  memory, a Non-cacheable one only memory: that is what SCTLR_ELx.I chooses when the MMU is off (C12).
- Data caches are coherent (fact C3): a read finds other PEs' dirty copies, which are written back
  towards the first cache in common and stay, clean; a store removes all other PEs' copies.
- A fetch starts in the L1I, then looks where `first_unified` says. With IDC it also finds dirty copies
  in data caches before that; with DIC a store removes copies in every L1I.
- Operations by VA act on all PEs' caches that they reach (fact C5); by set/way on the issuer's one.
  `DC IVAC` throws dirty copies away; both outcomes are legal (C7), this is the one that differs.
  What a clean writes back goes past caches that the operation reaches too, unless they hold the line.

Left out: the time things take, prefetching, speculation, write streaming, victim buffers, aliases of
VIPT instruction caches, DMA, TLBs (the stream's walks are those of the plugin's own).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, By, Kind, Op
from pocwatch.cost.cachesim import hierarchy
from pocwatch.cost.cachesim.counts import ANYWHERE, Cause, Counts, Outcome, Use
from pocwatch.cost.cachesim.record import Access
from pocwatch.platforms import Platform
from pocwatch.platforms.geometry import Geometry, Replacement

L1I = -1
"""The L1I's number among the levels; its counters are cache 0."""

_USES = {Op.LD: Use.LOAD, Op.ST: Use.STORE, Op.TW: Use.WALK, Op.IF: Use.FETCH, Op.DC_ZVA: Use.ZVA}


class Lru:
    """Least recently used: `order` has the ways, the oldest first."""

    def __init__(self, ways: int) -> None:
        self.order = list(range(ways))

    def touch(self, way: int) -> None:
        """Note a use."""
        self.order.remove(way)
        self.order.append(way)

    def victim(self) -> int:
        """Return the way to replace."""
        return self.order[0]


class TreePlru:
    """A binary tree over the ways: each node points to the half that was not used last."""

    def __init__(self, ways: int) -> None:
        self.ways = ways
        self.points = [0] * ways  # node 1 is the root, 2n and 2n+1 the children of n

    def touch(self, way: int) -> None:
        """Note a use."""
        node, half = 1, self.ways // 2
        while half:
            side = way // half % 2
            self.points[node] = 1 - side
            node, half = 2 * node + side, half // 2

    def victim(self) -> int:
        """Return the way to replace."""
        node = 1
        while node < self.ways:
            node = 2 * node + self.points[node]
        return node - self.ways


@dataclass
class Way:
    """One place for a line; `line` is its address divided by its size, None while it is free."""

    line: int | None = None
    dirty: bool = False


class Set:
    """The places where a line may be."""

    def __init__(self, geometry: Geometry) -> None:
        self.ways = [Way() for _ in range(geometry.ways)]
        lru = geometry.replacement is Replacement.LRU
        self.replacement = Lru(geometry.ways) if lru else TreePlru(geometry.ways)

    def place(self) -> int:
        """Return the way for a new line: the first free one, else the victim."""
        free = [number for number, way in enumerate(self.ways) if way.line is None]
        return free[0] if free else self.replacement.victim()


@dataclass
class Cache:
    """One instance; `pe` is the first of the PEs that use it."""

    level: int
    pe: int
    sets: list[Set]
    removed: set[int] = field(default_factory=set)  # absent lines that maintenance took out last

    def set_of(self, line: int) -> Set:
        """Return the set that may hold a line."""
        return self.sets[line % len(self.sets)]

    def find(self, line: int) -> Way | None:
        """Return the line's way, if it is here."""
        return next((way for way in self.set_of(line).ways if way.line == line), None)

    def touch(self, way: Way) -> None:
        """Note a use of a line that is here."""
        assert way.line is not None
        of = self.set_of(way.line)
        of.replacement.touch(of.ways.index(way))


class Reference:
    """A hierarchy and what was counted so far."""

    def __init__(self, platform: Platform, ignored: Collection[Op] = ()) -> None:
        self.platform, self.ignored = platform, frozenset(ignored)
        self.n = len(platform.levels)
        self.counts = Counts()
        self.induced = False  # whether the current access had an induced miss
        # Lines that maintenance wrote back and no store touched since.
        self.cleaned: set[int] = set()
        self.levels = [
            self._instances(i, level.geometry) for i, level in enumerate(platform.levels)
        ]
        self.l1i = self._instances(L1I, platform.l1i)

    def _instances(self, level: int, shape: Geometry) -> list[Cache]:
        sets = shape.sets(self.platform.dminline_bytes)
        return [
            Cache(level, pe, [Set(shape) for _ in range(sets)])
            for pe in range(0, self.platform.pes, shape.sharers)
        ]

    def at(self, level: int, pe: int) -> Cache:
        """Return the cache of a level that a PE uses."""
        if level == L1I:
            return self.l1i[pe]
        return self.levels[level][pe // self.platform.levels[level].geometry.sharers]

    def together(self, level: int, one: int, other: int) -> bool:
        """Say whether two PEs use the same cache of a level; memory (level n) they do."""
        return level == self.n or self.at(level, one) is self.at(level, other)

    def run(self, accesses: Iterable[Access]) -> None:
        """Take the records of a stream, in order."""
        for access in accesses:
            self.step(access)

    def step(self, access: Access) -> None:
        """Take one record. Raises ValueError for a PE that the platform does not have."""
        op, kind, pe = Op(access.op), Kind(access.kind), access.pe
        if pe >= self.platform.pes:
            raise ValueError(f"PE {pe} of a platform that has {self.platform.pes}")
        self.counts.accesses += 1
        line = access.pa // self.platform.dminline_bytes
        if op in _USES:
            use = _USES[op]
            goes_past = {Kind.NC, Kind.DEV} if use is Use.FETCH else {Kind.WT, Kind.NC, Kind.DEV}
            if kind in goes_past:
                self.counts.pes[pe].uncached[use] += 1
                return
            last = (access.pa + max(access.size, 1) - 1) // self.platform.dminline_bytes
            for each in range(line, last + 1):
                if use is Use.FETCH:
                    self.fetch(pe, kind, each)
                else:
                    self.data(pe, use, each)
            return
        self.counts.ops[op].issued += 1
        if op in self.ignored:
            return
        if op in DATA_MAINTENANCE and DATA_MAINTENANCE[op].by is By.SET_WAY:
            self.by_set_way(pe, op, access.pa)
        elif op in DATA_MAINTENANCE or op in OUTER_MAINTENANCE:
            self.by_va(pe, op, line)
        elif op is Op.IC_IVAU:
            self.invalidate_instructions(pe, op, self.l1i, line)
        elif op is Op.IC_IALLU:
            self.invalidate_instructions(pe, op, [self.l1i[pe]], None)
        elif op is Op.IC_IALLUIS:
            self.invalidate_instructions(pe, op, self.l1i, None)

    # ------------------------------------------------------------------ accesses

    def data(self, pe: int, use: Use, line: int) -> None:
        """Load, store, walk or zero one line with Write-Back attributes."""
        stores = use in (Use.STORE, Use.ZVA)
        whole = use is Use.ZVA  # nothing of the old line is needed
        self.induced = False
        at = self.look_up(pe, use, line, 0, 1 if whole else self.n)
        at = min(at, self.snoop(pe, line, 0, at, removes=stores))
        if at == self.n and not whole:
            self.read_memory(pe, use)
        self.fill(pe, line, 1 if whole and at else at, 0)
        if stores:
            way = self.at(0, pe).find(line)
            assert way is not None
            if not way.dirty and line in self.cleaned:
                self.counts.pes[pe].redirtied += 1
                self.cleaned.remove(line)
            way.dirty = True

    def fetch(self, pe: int, kind: Kind, line: int) -> None:
        """Fetch from one line with Write-Back or Write-Through attributes."""
        self.induced = False
        if self.look_up(pe, Use.FETCH, line, L1I, 0) == L1I:
            return
        at, first = self.n, self.platform.first_unified
        if kind is Kind.WB:
            at = self.look_up(pe, Use.FETCH, line, first, self.n)
            at = min(at, self.snoop(pe, line, first, at, removes=False))
            self.fill(pe, line, at, first)
        if at == self.n:
            self.read_memory(pe, Use.FETCH)
        self.install(pe, self.l1i[pe], line, dirty=False)

    def look_up(self, pe: int, use: Use, line: int, first: int, end: int) -> int:
        """Return the first level from `first` before `end` that has the line; n if none has it."""
        for level in range(first, end):
            cache, counts = self.at(level, pe), self.counts.pes[pe].caches[1 + level]
            way = cache.find(line)
            if way is not None:
                counts.hits[use] += 1
                cache.touch(way)
                return level
            counts.misses[use] += 1
            if line in cache.removed:
                counts.induced[use] += 1
                self.induced = True
        return self.n

    def read_memory(self, pe: int, use: Use) -> None:
        """Count a line read from memory."""
        self.counts.pes[pe].memory_reads[use] += 1
        self.counts.pes[pe].induced_reads[use] += self.induced

    def snoop(self, pe: int, line: int, first: int, at: int, *, removes: bool) -> int:
        """Have other caches give up what an access needs; return the level that gets their data.

        The access's own path starts at level `first` and found the line at level `at`. A store
        `removes` copies everywhere else; a read cleans the dirty ones that `at` does not know of.
        """
        came = self.n
        for level in range(self.n):
            for cache in self.levels[level]:
                way = cache.find(line)
                if way is None or (level >= first and cache is self.at(level, pe)):
                    continue
                if not removes and not (level < at and self.together(at, cache.pe, pe)):
                    continue
                unseen = level < first and not self.platform.idc
                if unseen and self.together(first, cache.pe, pe):
                    continue
                if way.dirty:
                    common = level + 1
                    while common < self.n and not (
                        common >= first and self.together(common, cache.pe, pe)
                    ):
                        common += 1
                    came = min(came, common)
                    self.write_back(pe, cache, way, common, Cause.SNOOP)
                if removes:
                    way.line = None
                    self.counts.pes[pe].caches[1 + level].invalidated += 1
        if removes and self.platform.dic:
            for cache in self.l1i:
                way = cache.find(line)
                if way is not None:
                    way.line = None
                    self.counts.pes[pe].caches[0].invalidated += 1
        return came

    def fill(self, pe: int, line: int, end: int, first: int) -> None:
        """Put the line into the PE's caches of levels before `end`, outermost first."""
        for level in reversed(range(first, end)):
            self.install(pe, self.at(level, pe), line, dirty=False)

    def install(self, pe: int, cache: Cache, line: int, *, dirty: bool) -> None:
        """Put a line where it is not, replacing another if there is no free way."""
        counts, of = self.counts.pes[pe].caches[1 + cache.level], cache.set_of(line)
        number = of.place()
        way = of.ways[number]
        if way.line is not None:
            counts.evictions += 1
            if way.dirty:
                self.write_back(pe, cache, way, cache.level + 1, Cause.EVICTION)
        counts.fills += 1
        cache.removed.discard(line)
        way.line, way.dirty = line, dirty
        of.replacement.touch(number)

    def write_back(self, pe: int, cache: Cache, way: Way, stop: int, cause: Cause) -> None:
        """Clean a dirty copy: its data go to the next level that has the line, or that is `stop`."""
        line = way.line
        assert line is not None
        way.dirty = False
        self.counts.pes[pe].caches[1 + cache.level].write_backs[cause] += 1
        for level in range(cache.level + 1, self.n):
            target = self.at(level, cache.pe)
            found = target.find(line)
            if found is not None:
                found.dirty = True
                target.touch(found)
                return
            if level >= stop:
                self.install(pe, target, line, dirty=True)
                return
        self.counts.pes[pe].memory_writes[cause] += 1

    # ------------------------------------------------------------------ maintenance

    def by_va(self, pe: int, op: Op, line: int) -> None:
        """Clean, invalidate or both, one line in all caches that the operation reaches."""
        levels = hierarchy.reach(self.platform, op)
        found = {
            level: max(self.outcome(cache.find(line)) for cache in self.levels[level])
            for level in levels
        }
        self.tally(op, found)
        for level in levels:
            for cache in self.levels[level]:
                way = cache.find(line)
                if way is not None:
                    stop = next(i for i in range(level + 1, self.n + 1) if i not in levels)
                    self.act(pe, op, cache, way, stop)

    def by_set_way(self, pe: int, op: Op, operand: int) -> None:
        """Clean, invalidate or both, one way of the PE's own cache (Arm ARM DDI 0487, "DC ISW")."""
        level = operand >> 1 & 7
        if level not in hierarchy.reach(self.platform, op):
            return
        cache = self.at(level, pe)
        ways = self.platform.levels[level].geometry.ways
        way_bits = (ways - 1).bit_length()
        way_number = (operand & 0xFFFF_FFFF) >> (32 - way_bits)
        set_number = operand % (1 << 32 - way_bits) // self.platform.dminline_bytes
        way = None
        if way_number < ways and set_number < len(cache.sets):
            way = cache.sets[set_number].ways[way_number]
        self.tally(op, {level: self.outcome(way)})
        if way is not None and way.line is not None:
            self.act(pe, op, cache, way, level + 1)

    def act(self, pe: int, op: Op, cache: Cache, way: Way, stop: int) -> None:
        """Do to one copy what an operation does."""
        assert way.line is not None
        doing, counts = hierarchy.actions(op), self.counts.pes[pe].caches[1 + cache.level]
        if way.dirty and doing & hierarchy.CLEAN:
            self.cleaned.add(way.line)
            self.write_back(pe, cache, way, stop, Cause.MAINTENANCE)
        if doing & hierarchy.INVALIDATE:
            counts.removed += 1
            counts.discarded += way.dirty
            cache.removed.add(way.line)
            way.line, way.dirty = None, False

    def invalidate_instructions(
        self, pe: int, op: Op, caches: list[Cache], line: int | None
    ) -> None:
        """Remove one line, or all, from instruction caches."""
        worst = Outcome.MISS
        for cache in caches:
            for each in cache.sets if line is None else [cache.set_of(line)]:
                for way in each.ways:
                    if way.line is not None and line in (None, way.line):
                        worst = Outcome.CLEAN
                        cache.removed.add(way.line)
                        way.line = None
                        self.counts.pes[pe].caches[0].removed += 1
        self.tally(op, {L1I: worst})

    @staticmethod
    def outcome(way: Way | None) -> Outcome:
        """Return what an operation finds in a way."""
        if way is None or way.line is None:
            return Outcome.MISS
        return Outcome.DIRTY if way.dirty else Outcome.CLEAN

    def tally(self, op: Op, found: dict[int, Outcome]) -> None:
        """Count what an operation found, by level and at worst."""
        for level, outcome in found.items():
            self.counts.ops[op].found[1 + level][outcome] += 1
        self.counts.ops[op].found[ANYWHERE][max(found.values(), default=Outcome.MISS)] += 1
