"""When things happened: in order, before what found them, as late as that allows, no two at once."""

from __future__ import annotations

import itertools
from dataclasses import replace

import reports
from hypothesis import given
from hypothesis import strategies as st

from pocwatch.arch.ops import Op
from pocwatch.report.instants import Happened, instants
from pocwatch.sanitizer.findings import Finding

BASE = reports.findings()[0]
EVENT = BASE.history[0]


def told(instructions: int, *seqs: int, pa: int = 0x4000_0000) -> Finding:
    """A finding on a line, with a history of events that have these numbers."""
    return replace(
        BASE,
        instructions=instructions,
        writer=None,
        history=tuple(replace(EVENT, seq=seq) for seq in seqs),
        line=replace(BASE.line, pa=pa),
    )


def by_seq(*findings: Finding) -> tuple[dict[int, int], list[int]]:
    """Instants of events by number, and of the accesses."""
    found = instants(findings)
    return {key.seq: at for key, at in found.events.items()}, list(found.accesses.values())


def test_just_before_the_access() -> None:
    assert by_seq(told(1000, 3, 9)) == ({3: 998, 9: 999}, [1000])


def test_nothing_comes_before_what_it_followed() -> None:
    # 5 was found at 100, so 4 cannot have come later, although it was found at 900 only.
    events, accesses = by_seq(told(900, 4, 8), told(100, 5, pa=0x4000_0040))
    assert events == {4: 98, 5: 99, 8: 899}
    assert sorted(accesses) == [100, 900]


def test_an_event_of_two_findings_happened_once() -> None:
    events, accesses = by_seq(told(900, 4), told(100, 4))
    assert (events, sorted(accesses)) == ({4: 99}, [100, 900])


def test_an_operation_on_two_lines_happens_to_each() -> None:
    found = instants([told(50, 4), told(50, 4, pa=0x4000_0040)])
    assert sorted(found.events.values()) == [47, 48]
    assert sorted(found.accesses.values()) == [49, 50]


def test_more_happened_than_was_executed() -> None:
    assert by_seq(told(1, 1, 2, 3)) == ({1: 0, 2: 1, 3: 2}, [3])


def test_the_writer_that_history_lacks_happened_too() -> None:
    finding = replace(told(100, 3), writer=replace(EVENT, seq=2, pc=8))
    events, _ = by_seq(finding)
    assert events == {2: 98, 3: 99}


def test_such_a_writer_has_the_number_of_the_event_before() -> None:
    finding = replace(told(100, 3, 4), writer=replace(EVENT, seq=3, pc=8, op=Op.ST))
    found = instants([finding])
    assert [(key.seq, key.pc) for key in sorted(found.events, key=found.events.__getitem__)] == [
        (3, EVENT.pc),
        (3, 8),
        (4, EVENT.pc),
    ]


FINDINGS = st.lists(
    st.builds(
        lambda at, seqs, line: told(at, *sorted(seqs), pa=line << 6),
        st.integers(0, 1000),
        st.sets(st.integers(1, 50), max_size=6),
        st.integers(0, 3),
    ),
    max_size=6,
)


@given(FINDINGS)
def test_any_findings(findings: list[Finding]) -> None:
    found = instants(findings)
    at = [*found.events.values(), *found.accesses.values()]
    assert len(set(at)) == len(at)
    assert not at or min(at) >= 0
    by_number = sorted(found.events.items(), key=lambda item: item[0].seq)
    for (one, before), (other, after) in itertools.pairwise(by_number):
        assert before < after or one.seq == other.seq
    for i, finding in enumerate(findings):
        for event in finding.history:
            assert found.events[Happened.of(finding, event)] < found.accesses[i]
