"""IDC, DIC and the line size from registers (facts C14), and contradictions with a platform."""

from __future__ import annotations

from pocwatch.sanitizer.cpufacts import CpuFacts

A57_CTR, A57_CLIDR = 0x8444_C004, 0x0A20_0023  # QEMU target/arm/tcg/cpu64.c
N1_CTR, N1_CLIDR = 0x8444_C004, 0x0200_0123  # the same file; LoUU = LoUIS = 0


def test_cortex_a57_promises_nothing() -> None:
    assert CpuFacts.of(A57_CTR, A57_CLIDR) == CpuFacts(idc=False, dic=False, line_size=64)


def test_neoverse_n1_has_idc_by_clidr() -> None:
    assert CpuFacts.of(N1_CTR, N1_CLIDR).idc


def test_bits() -> None:
    assert CpuFacts.of(1 << 28 | 3 << 16, A57_CLIDR) == CpuFacts(True, False, 32)
    assert CpuFacts.of(1 << 29, A57_CLIDR).dic


def test_contradictions_name_both_sides() -> None:
    cpu = CpuFacts(idc=True, dic=False, line_size=64)
    assert cpu.contradictions("p", True, False, 64) == []
    (line,) = cpu.contradictions("p", False, False, 64)
    assert "platform p has IDC=0, the emulated CPU says IDC=1" in line
