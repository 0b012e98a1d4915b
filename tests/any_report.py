"""Hypothesis strategies: any report that a run could end with."""

from __future__ import annotations

from hypothesis import strategies as st

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.sanitizer import findings as f
from pocwatch.sanitizer.symbols.lines import SourceLine
from pocwatch.trace.records import FindingKind, Flag, Why

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 1 << 64)
ADDRESS = st.integers(0, (1 << 64) - 1)
COUNTS = st.dictionaries(TEXT, COUNT, max_size=3)
SYMBOL = st.none() | st.sampled_from(["memcpy", "memcpy+0x1c", "f.isra.0+0x4", "ü+0x8"]) | TEXT
SOURCE = st.none() | st.builds(SourceLine, TEXT, st.integers(1, 1 << 20))
SMALL = st.integers(0, 255)
STACK = st.lists(
    st.builds(f.Frame, pc=st.integers(0, 2**64 - 1), symbol=SYMBOL, source=SOURCE), max_size=3
).map(tuple)


def flags(kind: type[Flag] | type[Why]) -> st.SearchStrategy[object]:
    return st.sets(st.sampled_from(list(kind))).map(lambda some: kind(sum(some)))


ACCESS = st.builds(
    f.Access,
    op=st.sampled_from(Op),
    kind=st.sampled_from(Kind),
    size=SMALL,
    pe=SMALL,
    el=st.integers(0, 3),
    vm_id=SMALL,
    flags=flags(Flag),
    why=flags(Why),
    pc=ADDRESS,
    pc_pa=st.none() | ADDRESS,
    pc_ipa=st.none() | ADDRESS,
    symbol=SYMBOL,
    insn=st.integers(0, (1 << 32) - 1),
    va=ADDRESS,
    ipa=st.none() | ADDRESS,
    pa=ADDRESS,
    s1_mair=SMALL,
    s2_attr=st.none() | SMALL,
    source=SOURCE,
    stack=STACK,
    device=st.none() | TEXT,
    device_number=SMALL,
)
EVENT = st.builds(
    f.Event,
    seq=COUNT,
    op=st.sampled_from(Op),
    kind=st.sampled_from(Kind),
    pe=SMALL,
    el=st.integers(0, 3),
    vm_id=SMALL,
    flags=flags(Flag),
    cells=SMALL,
    pc=ADDRESS,
    pc_pa=st.none() | ADDRESS,
    pc_ipa=st.none() | ADDRESS,
    symbol=SYMBOL,
    rule=st.none() | TEXT,
    source=SOURCE,
    stack=STACK,
    device=st.none() | TEXT,
)


def several(each: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[object]:
    return st.lists(each, max_size=most).map(tuple)


LINE = st.builds(
    f.Line,
    pa=ADDRESS,
    size=st.sampled_from([16, 64, 256]),
    stale_cell=st.integers(0, 7),
    states=st.tuples(*[SMALL] * 8),
    state_text=several(TEXT, 8),
)
FINDING = st.builds(
    f.Finding,
    kind=st.sampled_from([k.name.lower().replace("_", "-") for k in FindingKind]),
    count=COUNT,
    instructions=COUNT,
    access=ACCESS,
    writer=st.none() | EVENT,
    maintenance=several(st.builds(f.Maintenance, EVENT, TEXT)),
    history=several(EVENT),
    history_truncated=st.booleans(),
    line=LINE,
    rule=TEXT,
    repair=several(TEXT),
)
PLATFORM = st.sampled_from(
    [
        None,
        *map(platforms.load, platforms.names()),
        platforms.auto("cortex-a57", 2, idc=True, dic=False),
    ]
)
REPORT = st.builds(
    f.Report,
    complete=st.booleans(),
    platform=TEXT,
    qemu=TEXT,
    command=several(TEXT),
    instructions=COUNT,
    accesses=COUNT,
    fetches=COUNT,
    walks=COUNT,
    devices=several(st.builds(f.Device, TEXT, st.booleans(), COUNT, COUNT)),
    maintenance=COUNTS,
    redundant=COUNTS,
    dropped=COUNTS,
    findings=several(FINDING),
    suppressed=several(
        st.builds(f.Suppressed, TEXT, COUNT, COUNT, TEXT, several(FINDING, 1))
    ),
    known=st.none() | st.builds(f.Known, TEXT, COUNT, COUNT),
    warnings=several(TEXT),
    failure=st.none() | TEXT,
    machine_failed=st.booleans(),
    definition=PLATFORM,
    watched=st.booleans(),
)
