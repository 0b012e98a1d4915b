"""Words of `pocwatch line`: every spelling, separators, comments, offsets, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocwatch.arch.ops import Kind, Op
from pocwatch.line.word import Step, WordError, parse

# Design, "`pocwatch line`": agents, ops, kinds.
PE_STEPS = [
    *(f"{op} {kind}" for op in ("st", "ld", "tw") for kind in ("wb", "wt", "nc", "dev")),
    *(f"if {kind}" for kind in ("wb", "nc")),
    *(f"dc {op}" for op in ("cvac", "cvap", "cvau", "civac", "ivac", "csw", "cisw", "isw", "zva")),
    *(f"ic {op}" for op in ("ivau", "iallu", "ialluis")),
    *(f"outer {op}" for op in ("clean", "inv", "flush")),
    "dmb", "dsb", "isb", "mmu on", "mmu off",
]  # fmt: skip
DEVICE_STEPS = [f"{op} {kind}" for op in ("wr", "rd") for kind in ("coherent", "noncoherent")]

a_step = st.one_of(
    st.tuples(st.integers(0, 63).map("P{}".format), st.sampled_from(PE_STEPS)),
    st.tuples(st.integers(0, 63).map("D{}".format), st.sampled_from(DEVICE_STEPS)),
).map(" ".join)
an_offset = st.sampled_from(["", "", " +4", " +8", " +63"])


@pytest.mark.parametrize("text", [f"P0 {s}" for s in PE_STEPS] + [f"D0 {s}" for s in DEVICE_STEPS])
def test_every_spelling(text: str) -> None:
    (step,) = parse(text)
    assert str(step) == text
    assert step.agent == 0
    assert step.device == text.startswith("D")
    assert text[3:].startswith(step.op.spelling)
    assert step.offset == 0


def test_all_operations_can_be_spelled() -> None:
    spelled = {parse(f"P0 {s}")[0].op for s in PE_STEPS}
    assert spelled | {parse(f"D0 {s}")[0].op for s in DEVICE_STEPS} == set(Op)


@given(st.lists(st.tuples(a_step, an_offset).map("".join), min_size=1), st.sampled_from(";\n"))
def test_written_back(texts: list[str], separator: str) -> None:
    steps = parse(separator.join(texts))
    assert [str(step) for step in steps] == texts


def test_fields() -> None:
    assert parse("P12 st nc +8") == (Step(Op.ST, 12, kind=Kind.NC, offset=8),)
    assert parse("D3 wr noncoherent") == (Step(Op.DMA_WR, 3, device=True, coherent=False),)


@pytest.mark.parametrize(
    "text",
    [
        "P0 st wb; P1 ld dev",
        "P0 st wb;P1 ld dev;",
        "P0 st wb\nP1 ld dev\n",
        "\n\nP0  st\twb ;; \r\n  P1 ld dev +0",
        "# a comment; with a separator\nP0 st wb # another; P9 nonsense\nP1 ld dev",
    ],
)
def test_separators_and_comments(text: str) -> None:
    assert [str(step) for step in parse(text)] == ["P0 st wb", "P1 ld dev"]


@pytest.mark.parametrize("offset", [0, 1, 4, 7, 8, 56, 63])
def test_offsets(offset: int) -> None:
    assert parse(f"P0 ld wb +{offset}")[0].offset == offset


@pytest.mark.parametrize("op", PE_STEPS)
def test_any_step_may_name_an_offset(op: str) -> None:
    """Design: a step is `AGENT OP [KIND] [+OFFSET]`."""
    assert parse(f"P0 {op} +8")[0].offset == 8


def test_a_longer_line_has_more_offsets() -> None:
    assert parse("P0 ld wb +100", line_bytes=128)[0].offset == 100
    with pytest.raises(WordError, match=r"\+0 to \+15"):
        parse("P0 ld wb +16", line_bytes=16)


@pytest.mark.parametrize(
    ("text", "value", "accepted"),
    [
        ("X0 st wb", "X0", "P0 to P63"),
        ("p0 st wb", "p0", "P0 to P63"),
        ("P st wb", "'P'", "P0 to P63"),
        ("P64 st wb", "P64", "P63"),
        ("P99999999999 st wb", "P99999999999", "P63"),
        ("P\u0663 st wb", "P\u0663", "P0 to P63"),
        ("P-1 st wb", "P-1", "P0 to P63"),
        ("st wb", "'st'", "P0 to P63"),
        ("P0", "''", "ld, st, tw, if"),
        ("P0 store wb", "store", "st"),
        ("P0 ST wb", "ST", "st"),
        ("P0 cvac", "cvac", "dc"),
        ("P0 st", "''", "wb, wt, nc, dev"),
        ("P0 st uc", "uc", "wb, wt, nc, dev"),
        ("P0 tw coherent", "coherent", "wb, wt, nc, dev"),
        ("P0 if dev", "dev", "wb, nc"),
        ("P0 if wt", "wt", "wb, nc"),
        ("P0 dc", "''", "cvac, cvap, cvau, civac, ivac, csw, cisw, isw"),
        ("P0 dc cvadp", "cvadp", "cvap"),
        ("P0 ic ivac", "ivac", "ivau, iallu, ialluis"),
        ("P0 outer purge", "purge", "clean, inv, flush"),
        ("P0 mmu maybe", "maybe", "on, off"),
        ("P0 mmu", "''", "on, off"),
        ("D0 st wb", "st", "rd, wr"),
        ("D0 dsb", "dsb", "rd, wr"),
        ("D0 wr wb", "wb", "coherent, noncoherent"),
        ("D0 rd", "''", "coherent, noncoherent"),
        ("P0 rd coherent", "rd", "devices"),
        ("P0 ld wb +64", "+64", "+0 to +63"),
        ("P0 ld wb +" + "9" * 5000, "+9999", "+0 to +63"),
        ("P0 ld wb +-1", "+-1", "+0 to +63"),
        ("P0 ld wb +", "+", "+0 to +63"),
        ("P0 ld wb +0x8", "+0x8", "+0 to +63"),
        ("P0 ld wb +\u00b2", "+\u00b2", "+0 to +63"),
        ("P0 ld wb 8", "8", "left over"),
        ("P0 ld wb +8 +8", "+8", "left over"),
        ("P0 dsb sy", "sy", "left over"),
        ("", "empty", "P0 st wb"),
        (" ;; \n # nothing\n", "empty", "P0 st wb"),
    ],
)  # fmt: skip
def test_refused(text: str, value: str, accepted: str) -> None:
    with pytest.raises(WordError) as error:
        parse(text)
    assert value in str(error.value)
    assert accepted in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_step_is_named() -> None:
    with pytest.raises(WordError, match=r"step 1 'P0 dc cva'"):
        parse("P0 st wb\n# comment\nP0 dc cva")


@given(st.text(max_size=40))
def test_any_text_is_a_word_or_refused(text: str) -> None:
    with contextlib.suppress(WordError):
        assert parse(text)
