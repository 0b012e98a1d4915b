"""The machine that proves that a run works: its words, and that it has its one finding."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from assembler import assemble

from pocwatch.doctor import machine, proof
from pocwatch.doctor.record import State


def test_the_words_are_what_their_text_says(tmp_path: Path) -> None:
    listing = [*proof.PROGRAM, *proof.FUNCTION]
    lines = [text.replace(".+", "#") if text.startswith("bl") else text for _, text in listing]
    lines = [line.replace("bl #", "bl .+") for line in lines]
    assert assemble(tmp_path, lines, "armv8-a") == [word for word, _ in listing]


def test_the_function_is_in_a_line_of_its_own_and_everything_points_where_it_says() -> None:
    words = struct.unpack(f"<{len(proof.image()) // 4}I", proof.image())
    function = 64 // 4
    assert words[function:] == tuple(word for word, _ in proof.FUNCTION)
    texts = [text for _, text in proof.PROGRAM]
    targets = {  # what each PC-relative instruction must reach
        0: function,
        1: function,
        2: texts.index("mov x2, #1"),
        4: function,
        5: texts.index(".inst 0x84000008"),
    }
    for index, target in targets.items():
        assert int(texts[index].rsplit(".+", 1)[1], 16) == 4 * (target - index), texts[index]
    assert {index for index, text in enumerate(texts) if ".+" in text} == set(targets)


@pytest.mark.machine
def test_a_real_machine_has_its_finding(plugin_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))
    found = machine.checks("qemu-system-aarch64")
    assert [check.state for check in found] == [State.WORKS] * 3, found
    assert "registers read (IDC=0, DIC=0, lines of 64 bytes)" in found[-1].found


@pytest.mark.machine
def test_a_file_that_is_no_plugin_is_said_by_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "pocwatch_plugin.so"
    broken.write_bytes(b"\x7fELF")
    monkeypatch.setenv("POCWATCH_PLUGIN", str(broken))
    *_, tried = machine.checks("qemu-system-aarch64")
    assert tried.state is State.MISSING
    assert str(broken) in tried.found
    assert tried.cure == "unset POCWATCH_PLUGIN"
