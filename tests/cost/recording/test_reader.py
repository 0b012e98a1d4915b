"""Event recordings: files that are none, files cut short, and what a PE was doing when."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from recordings import (
    DATA_TRANSLATION,
    PAGE,
    SCTLR,
    end,
    entry,
    event,
    fault,
    maintenance,
    recording,
    text,
    trap,
)

from pocwatch.arch.ops import Op
from pocwatch.cost.recording import RecordingError, read
from pocwatch.cost.recording.happenings import Context, Maintenance, OtherExit
from pocwatch.cost.recording.record import EventKind, Vector


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no event recording; make one with pocwatch run --events FILE"),
        (b"PWACCESS" + bytes(64), "is no event recording"),
        (b"PWEVENTS\x09\0\0\0\x48\0\0\0" + bytes(64), "of version 9 .* record it anew"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        read(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read(tmp_path / "x")


def test_compressed(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(text([entry(5), end(8)])))
    assert read(path).complete
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(RecordingError, match="cannot be read"):
        read(path)


def test_a_recording_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(text([entry(5), entry(8)])[:-10])
    cut = read(path)
    assert (len(cut.happenings), cut.end, cut.complete) == (1, 5, False)


def test_contexts_are_each_pe_s_own(tmp_path: Path) -> None:
    """Maintenance of a PE belongs to the exit of that PE."""

    def on_1(made: object) -> object:
        made.pe = 1  # type: ignore[attr-defined]
        return made

    def civac(time: int) -> object:
        return maintenance(time, Op.DC_CIVAC, PAGE, 1)

    events = [
        civac(1),
        entry(2),
        fault(3, PAGE),
        civac(4),
        on_1(civac(5)),
        on_1(entry(6)),
        civac(7),
        on_1(civac(8)),
        entry(9),
        trap(10, SCTLR),
        civac(11),
        entry(12),
        event(EventKind.EXCEPTION, 13, detail=Vector.IRQ, syndrome=DATA_TRANSLATION),
        civac(14),
        end(15),
    ]
    made = recording(tmp_path, *events, pes=2)  # type: ignore[arg-type]
    contexts = [h.context for h in made.happenings if isinstance(h, Maintenance)]
    assert contexts == [
        Context.BEFORE,
        Context.FAULT,
        Context.BEFORE,
        Context.FAULT,
        Context.GUEST,
        Context.MMU_TRAP,
        Context.OTHER_EXIT,
    ]
    assert [h.reason for h in made.happenings if isinstance(h, OtherExit)] == ["IRQ"]
    assert made.complete


def test_barriers_belong_to_what_came_before(tmp_path: Path) -> None:
    """A record counts the DSBs since the last one of its PE."""
    there = fault(3, PAGE), entry(4)
    there[0].dsbs, there[1].dsbs = 2, 5
    made = recording(tmp_path, entry(2), *there, end(9))
    assert sorted((t, c.name, n) for t, c, n in made.dsbs) == [(3, "GUEST", 2), (4, "FAULT", 5)]
