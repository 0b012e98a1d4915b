"""Callers from frame records: AAPCS64 "The Frame Pointer", and what is no stack."""

from __future__ import annotations

import ctypes
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stack_machine import CALL_BY_REGISTER, KERNEL, NOP, PAGE, RAM, StackMachine

TEXT, STACK = KERNEL + 0x10_0000, KERNEL + 0x80_0000
USER_TEXT, USER_STACK = 0x40_0000, 0x7FFF_0000
NONE = 0xFFFF_FFFF_FFFF_FFFF


def kernel(plugin: ctypes.CDLL) -> StackMachine:
    """Three nested calls in a kernel: records at STACK + 0x100, 0x140 and the last, empty one."""
    machine = StackMachine(plugin)
    machine.code(TEXT)
    machine.stack(STACK)
    machine.record(STACK + 0x100, STACK + 0x140, TEXT + 0x104)
    machine.record(STACK + 0x140, STACK + 0x1A0, TEXT + 0x204)
    machine.record(STACK + 0x1A0, 0, 0)
    return machine


@pytest.fixture
def machine(plugin: ctypes.CDLL) -> StackMachine:
    return kernel(plugin)


FIRST, SECOND = TEXT + 0x104, TEXT + 0x204


def test_the_callers_innermost_first(machine: StackMachine) -> None:
    inner, outer = machine.unwind(STACK + 0x100)
    assert (inner.pc, outer.pc) == (FIRST, SECOND)
    assert (inner.pa, outer.pa) == (machine.pa(FIRST), machine.pa(SECOND))
    assert (inner.ipa, inner.record) == (NONE, machine.pa(STACK + 0x100))
    assert (inner.fp, inner.lr) == (STACK + 0x140, FIRST)


def test_depth(machine: StackMachine) -> None:
    assert machine.pcs(STACK + 0x100, depth=1) == [FIRST]
    assert machine.pcs(STACK + 0x100, depth=0) == []
    assert machine.pcs(STACK + 0x100, lr=TEXT + 0x404, depth=2) == [TEXT + 0x404, FIRST]


def test_user_space(plugin: ctypes.CDLL) -> None:
    machine = StackMachine(plugin)
    machine.regs.el = 0
    machine.code(USER_TEXT, user=True)
    machine.stack(USER_STACK, user=True)
    machine.record(USER_STACK, USER_STACK + 0x20, USER_TEXT + 0x24)
    machine.record(USER_STACK + 0x20, 0, 0)
    assert machine.pcs(USER_STACK) == [USER_TEXT + 0x24]


def test_code_that_the_el_may_not_execute_is_none(machine: StackMachine) -> None:
    """A chain from user space into what only the kernel executes."""
    machine.regs.el = 0
    assert machine.pcs(STACK + 0x100) == []


def test_mmu_off(plugin: ctypes.CDLL) -> None:
    machine = StackMachine(plugin)
    machine.regs.sctlr_el1 = 0
    machine.regs.tcr_el1 = 0
    machine.next_page = RAM + 16 * PAGE
    machine.words |= {RAM: RAM + 0x40, RAM + 8: RAM + PAGE + 4, RAM + PAGE: NOP | NOP << 32}
    (caller,) = machine.unwind(RAM)
    assert (caller.pc, caller.pa) == (RAM + PAGE + 4, RAM + PAGE + 4)


def test_a_record_across_pages(machine: StackMachine) -> None:
    """Its halves lie in pages that are not next to each other in RAM."""
    machine.new_page()
    machine.stack(STACK + PAGE)
    machine.record(STACK + PAGE - 8, STACK + PAGE + 0x40, FIRST)
    machine.record(STACK + PAGE + 0x40, 0, SECOND)
    assert machine.pa(STACK + PAGE) != machine.pa(STACK) + PAGE
    assert machine.pcs(STACK + PAGE - 8) == [FIRST, SECOND]


# ------------------------------------------------------------------ the link register


def test_a_leaf_s_caller_is_in_the_link_register(machine: StackMachine) -> None:
    leaf, *others = machine.unwind(STACK + 0x100, lr=TEXT + 0x404)
    assert (leaf.pc, leaf.pa, leaf.record) == (TEXT + 0x404, machine.pa(TEXT + 0x404), NONE)
    assert [c.pc for c in others] == [FIRST, SECOND]


def test_the_link_register_of_a_function_with_a_record_counts_once(machine: StackMachine) -> None:
    first, second = machine.unwind(STACK + 0x100, lr=FIRST)
    assert (first.pc, second.pc) == (FIRST, SECOND)
    assert first.record == machine.pa(STACK + 0x100)


def test_a_link_register_used_for_something_else(machine: StackMachine) -> None:
    page = machine.pa(TEXT)
    machine.words[page + 0x400] = NOP | NOP << 32
    for lr in (0, 1, TEXT + 0x404, STACK, 0xDEAD_BEEF_0000, TEXT + 0x402):
        assert machine.pcs(STACK + 0x100, lr=lr) == [FIRST, SECOND], hex(lr)


def test_a_call_by_register(plugin: ctypes.CDLL) -> None:
    machine = StackMachine(plugin)
    machine.code(TEXT, call=CALL_BY_REGISTER)
    assert machine.pcs(0, lr=TEXT + 8) == [TEXT + 8]


# ------------------------------------------------------------------ pointer authentication


def strip(machine: StackMachine, address: int) -> int:
    function = machine.plugin.pw_strip_pac
    function.restype = ctypes.c_uint64
    stripped: int = function(ctypes.byref(machine.regs), ctypes.c_uint64(address))
    return stripped


def t0sz(bits: int) -> int:
    return 64 - bits


def t1sz(bits: int) -> int:
    return 64 - bits << 16


@pytest.mark.parametrize(
    ("tcr", "signed", "plain"),
    [
        # bit 55 says which half it is; the code lies in all bits above the VA but that one
        (t0sz(48) | t1sz(48), 0x5A3F_8000_1234_5678, 0x0000_8000_1234_5678),
        (t0sz(48) | t1sz(48), 0x5ABF_8000_1234_5678, 0xFFFF_8000_1234_5678),
        (t0sz(39) | t1sz(39), 0x5A3F_AAD5_1234_5678, 0x0000_0055_1234_5678),
        (t0sz(39) | t1sz(39), 0x0080_002A_1234_5678, 0xFFFF_FFAA_1234_5678),
        (t0sz(48) | t1sz(39), 0x5A3F_8055_1234_5678, 0x0000_8055_1234_5678),
        (t0sz(48) | t1sz(39), 0x5ABF_80D5_1234_5678, 0xFFFF_FFD5_1234_5678),
        (0, 0x0000_0000_4020_0000, 0x0000_0000_4020_0000),  # after reset
        (0, 0x5A3F_8000_4020_0000, 0x0000_8000_4020_0000),  # T0SZ below 16 counts as 16
    ],
)
def test_strip_el1(plugin: ctypes.CDLL, tcr: int, signed: int, plain: int) -> None:
    machine = StackMachine(plugin)
    machine.regs.tcr_el1 = tcr
    assert strip(machine, signed) == plain


def test_strip_elsewhere(plugin: ctypes.CDLL) -> None:
    """EL2 has one range of addresses, unless HCR_EL2.E2H gives it two; 52-bit addresses."""
    machine = StackMachine(plugin)
    machine.regs.el = 2
    machine.regs.has_el2 = 1
    machine.regs.tcr_el2 = t0sz(39) | t1sz(48)
    assert strip(machine, 0x5A3F_AAD5_1234_5678) == 0x55_1234_5678
    machine.regs.hcr_el2 = 1 << 34
    assert strip(machine, 0x5ABF_8000_1234_5678) == 0xFFFF_8000_1234_5678
    machine.regs.tcr_el2 = t0sz(52) | t1sz(52)
    machine.regs.id_aa64mmfr2 = 1 << 16
    assert strip(machine, 0x5AB8_0000_1234_5678) == 0xFFF8_0000_1234_5678


def test_signed_return_addresses(machine: StackMachine) -> None:
    signed = 0x00A5 << 48
    top = 0xFFFF << 48
    machine.record(STACK + 0x100, STACK + 0x140, (FIRST & ~top) | signed)
    machine.record(STACK + 0x140, STACK + 0x1A0, (SECOND & ~top) | signed ^ 0x5A << 56)
    assert machine.pcs(STACK + 0x100) == [FIRST, SECOND]
    assert machine.pcs(STACK + 0x100, lr=(FIRST & ~top) | signed) == [FIRST, SECOND]
    assert machine.pcs(0, lr=(SECOND & ~top) | signed) == [SECOND]


# ------------------------------------------------------------------ what is no stack


@pytest.mark.parametrize(
    "fp",
    [0, STACK + 0x104, STACK + 0x101, STACK - 8, STACK + PAGE, 0x1234, 0x00FF << 48 | 0x1000],
)
def test_no_record_there(machine: StackMachine, fp: int) -> None:
    assert machine.pcs(fp) == []


@pytest.mark.parametrize(
    "lr", [0, 1, TEXT + 0x102, STACK, TEXT + PAGE, 0xDEAD_BEEF_DEAD_BEEC, USER_TEXT]
)
def test_no_code_there(machine: StackMachine, lr: int) -> None:
    """The kernel's own code is mapped and executable; a stack is not, nor is user space's."""
    machine.code(USER_TEXT, user=True)
    machine.record(STACK + 0x140, STACK + 0x1A0, lr)
    assert machine.pcs(STACK + 0x100) == [FIRST]


def test_empty_memory_is_no_code(machine: StackMachine) -> None:
    machine.map(TEXT + PAGE, 0)
    machine.record(STACK + 0x140, STACK + 0x1A0, TEXT + PAGE + 4)
    assert machine.pcs(STACK + 0x100) == [FIRST]


@pytest.mark.parametrize("next_fp", [STACK + 0x100, STACK + 0x140])
def test_a_circle_ends(machine: StackMachine, next_fp: int) -> None:
    machine.record(STACK + 0x140, next_fp, SECOND)
    assert machine.pcs(STACK + 0x100) == [FIRST, SECOND]


def test_an_interrupt_stack_above_or_below(machine: StackMachine) -> None:
    """Linux's goes on on the stack that was interrupted, wherever that is."""
    for irq in (STACK - PAGE, STACK + PAGE):
        machine.stack(irq)
        machine.record(irq + 0x80, irq + 0xC0, TEXT + 0x304)
        machine.record(irq + 0xC0, STACK + 0x100, TEXT + 0x404)
        assert machine.pcs(irq + 0x80) == [TEXT + 0x304, TEXT + 0x404, FIRST, SECOND]


def test_a_circle_over_two_stacks_ends(machine: StackMachine) -> None:
    irq = machine.stack(STACK + PAGE)
    machine.record(irq + 0x80, STACK + 0x100, TEXT + 0x304)
    machine.record(STACK + 0x140, irq + 0x80, SECOND)
    assert machine.pcs(irq + 0x80) == [TEXT + 0x304, FIRST, SECOND]


def test_stacks_ever_further_down_are_not_followed_for_ever(machine: StackMachine) -> None:
    records = [STACK + 0xF00 - 0x20 * i for i in range(40)]
    for at, following in pairwise(records):
        machine.record(at, following, FIRST)
    assert len(machine.pcs(records[0], depth=64)) == 4


def test_tables_that_are_not_readable(machine: StackMachine) -> None:
    machine.words[RAM + PAGE + 8 * (STACK >> 39 & 511)] = 0x3_0000_0000 | 3
    assert machine.pcs(STACK + 0x100, lr=FIRST) == []


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_anything_ends(plugin: ctypes.CDLL, data: st.DataObject) -> None:
    """Records of any contents, most of them plausible: at most `depth` callers, each of them code."""
    machine = kernel(plugin)
    addresses = st.one_of(
        st.integers(0, 511).map(lambda i: STACK + 8 * i),
        st.integers(0, 2 * PAGE).map(lambda i: STACK + i),
        st.integers(0, 2**64 - 1),
    )
    returns = st.one_of(
        st.integers(0, 1023).map(lambda i: TEXT + 4 * i),
        st.integers(0, 2**64 - 1),
    )
    for at in data.draw(st.lists(st.integers(0, 510).map(lambda i: STACK + 8 * i), max_size=12)):
        machine.record(at, data.draw(addresses), data.draw(returns))
    depth = data.draw(st.integers(0, 64))
    before = machine.reads
    callers = machine.unwind(data.draw(addresses), data.draw(returns), depth)
    assert all(c.pc % 4 == 0 and TEXT <= c.pc < TEXT + PAGE for c in callers)
    # Per caller a translation of four levels and a word: of the record, perhaps of its second half
    # in another page, and of the code; the link register costs two of them more.
    assert machine.reads - before <= 15 * (depth + 2)
