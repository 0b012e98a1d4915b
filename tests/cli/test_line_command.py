"""`pocwatch line`: the pinned JSON, words from everywhere, exit codes, bad input in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
BEFORE_THE_PATCH = "P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev"
THE_PATCH = "P0 st wb; P0 dc cvac; P0 dsb; P1 ld dev"


def line(*args: str, stdin: str | bytes = "", code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "line", *args],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUTF8": "1"},
        check=False,
    )
    text = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
    assert text.returncode == code, text.stderr
    assert "Traceback" not in text.stderr
    return text


def answers(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stderr == ""
    return [json.loads(row) for row in done.stdout.splitlines()]


def refused(*args: str, stdin: str | bytes = "") -> str:
    done = line(*args, stdin=stdin, code=2)
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("pocwatch: error: ")
    return said


def test_json_as_pinned() -> None:
    (answer,) = answers(line("--platform", "xgene-l3", "--json", BEFORE_THE_PATCH, code=1))
    assert list(answer) == ["platform", "reads"]
    assert answer["platform"] == "xgene-l3"
    (read,) = answer["reads"]
    assert list(read) == ["step", "op", "verdict", "witness", "repair"]
    assert (read["step"], read["op"], read["verdict"]) == (3, "P1 ld dev", "stale")
    assert read["repair"] == ["P0 dc cvac", "P0 dsb"]
    assert read["witness"]
    assert all(isinstance(sentence, str) for sentence in read["witness"])


def test_json_of_a_fresh_read() -> None:
    (answer,) = answers(line("--platform", "xgene-l3", "--json", THE_PATCH, code=0))
    fresh = {"step": 3, "op": "P1 ld dev", "verdict": "fresh", "witness": [], "repair": []}
    assert answer == {"platform": "xgene-l3", "reads": [fresh]}


def test_unsynced_is_not_fresh() -> None:
    (answer,) = answers(line("--platform", "neoverse-dic", "--json", "P0 st wb; P1 if wb", code=1))
    (read,) = answer["reads"]
    assert (read["verdict"], read["repair"]) == ("unsynced", ["P1 isb"])
    assert read["witness"]


def test_no_reads() -> None:
    assert answers(line("--platform", "fwb", "--json", "P0 st wb", code=0)) == [
        {"platform": "fwb", "reads": []}
    ]


def test_text_shows_word_verdict_witness_and_repair() -> None:
    shown = line("--platform", "xgene-l3", BEFORE_THE_PATCH, code=1).stdout
    for step in BEFORE_THE_PATCH.split("; "):
        assert step in shown
    assert "stale" in shown
    assert "memory stale" in shown
    assert "repair: P0 dc cvac; P0 dsb" in shown
    shown = line("--platform", "xgene-l3", THE_PATCH, code=0).stdout
    assert "fresh" in shown
    assert "repair" not in shown


def test_batch_from_standard_input() -> None:
    words = "P0 st wb\nP1 ld nc # old\n---\nP0 st wb; P1 ld wb\n ---  \nP0 ld wb +8\nP0 tw nc\n"
    got = answers(line("--platform", "cortex-a57", "--json", "-", stdin=words, code=1))
    verdicts = [[(r["step"], r["verdict"]) for r in answer["reads"]] for answer in got]
    assert verdicts == [[(1, "stale")], [(1, "fresh")], [(0, "fresh"), (1, "fresh")]]
    assert [read["op"] for read in got[2]["reads"]] == ["P0 ld wb +8", "P0 tw nc"]


def test_batch_of_fresh_words_exits_0() -> None:
    words = "P0 ld wb\n---\nP0 ld nc\n---\n"
    got = answers(line("--platform", "cortex-a57", "--json", "-", stdin=words, code=0))
    assert len(got) == 2


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_from_a_file(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "words"
    path.write_bytes(newline.join(["P0 st wb", "P1 ld dev", "---", "P1 ld dev", ""]).encode())
    got = answers(line("--platform", "xgene-l3", "--json", "--file", str(path), code=1))
    assert [[r["verdict"] for r in answer["reads"]] for answer in got] == [["stale"], ["fresh"]]


def test_ten_thousand_words() -> None:
    """10,000 random words of 10 steps: as many lines, in order."""
    random = Random(2013)
    ops = (
        "st wb", "st nc", "st wb +8", "ld wb", "ld nc", "if wb",
        "dc cvac", "dc cvau", "dc civac", "dc ivac", "dc csw", "ic ivau", "dmb", "dsb", "isb", "mmu off",
    )  # fmt: skip
    steps = [f"{pe} {op}" for pe in ("P0", "P1") for op in ops] + [
        "D0 wr coherent",
        "D0 rd coherent",
    ]
    words = [random.choices(steps, k=10) for _ in range(10_000)]
    text = "\n---\n".join("\n".join(word) for word in words) + "\n"
    got = answers(line("--platform", "xgene-l3", "--json", "-", stdin=text, code=1))
    assert len(got) == len(words)
    for word, answer in zip(words, got, strict=True):
        expected = [(n, s) for n, s in enumerate(word) if s.split()[1] in ("ld", "if", "rd")]
        assert [(read["step"], read["op"]) for read in answer["reads"]] == expected
    for index in range(0, 10_000, 2_500):
        bad = any(read["verdict"] != "fresh" for read in got[index]["reads"])
        word = "; ".join(words[index])
        alone = line("--platform", "xgene-l3", "--json", word, code=int(bad))
        assert answers(alone) == [got[index]]


def test_bad_words() -> None:
    said = refused("--platform", "xgene-l3", "P0 st wb; P1 ld uncached")
    for part in ("step 1", "'P1 ld uncached'", "'uncached'", "wb, wt, nc, dev"):
        assert part in said
    assert "empty" in refused("--platform", "xgene-l3", "")
    assert "empty" in refused("--platform", "xgene-l3", "-")
    assert "word 1" in refused(
        "--platform", "fwb", "-", stdin="P0 ld wb\n---\nP0 ld\n---\nP0 ld wb"
    )
    assert "empty" in refused("--platform", "fwb", "-", stdin="P0 ld wb\n---\n---\nP0 ld wb\n")


def test_no_word_or_two() -> None:
    for args in ([], ["--file", __file__, "P0 ld wb"]):
        said = refused("--platform", "xgene-l3", *args)
        assert "WORD" in said
        assert "--file" in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "none" in refused("--platform", "fwb", "--file", str(tmp_path / "none"))
    assert str(tmp_path) in refused("--platform", "fwb", "--file", str(tmp_path))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    assert "binary" in refused("--platform", "fwb", "--file", str(binary))


def test_platform_is_needed_and_known() -> None:
    assert "--platform" in refused("P0 ld wb")
    said = refused("--platform", "cortex-a99", "P0 ld wb")
    assert "'cortex-a99'" in said
    assert "cortex-a57, cortex-a57-up, fwb, fwb-dic, l2x0-up" in said


def test_platform_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'pes = 1\nfirst_unified = "memory"\ndminline_bytes = 128\n[[levels]]\nname = "L1D"\n'
    )
    word = "P0 st wb +120; P0 dc cvau; P0 dsb; P0 ld nc +120"
    (answer,) = answers(line("--platform", str(path), "--json", word, code=0))
    assert answer["platform"] == "mine"
    assert "+127" in refused("--platform", str(path), "P0 ld wb +128")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pes = ", "not TOML"),
        ("pes = 1", "levels is missing"),
        ('pes = 0\nfirst_unified = "L1"\n[[levels]]\nname = "L1"\n', "pes is 0"),
        ('pes = 1\nfirst_unified = "L2"\n[[levels]]\nname = "L1"\n', "'L2'"),
        ('pes = 1\nfirst_unified = "L1"\nidc = "yes"\n[[levels]]\nname = "L1"\n', "idc is 'yes'"),
    ],
)
def test_bad_platform_of_the_user(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert said in refused("--platform", str(path), "P0 ld wb")


def test_platform_file_that_is_missing(tmp_path: Path) -> None:
    assert "none.toml" in refused("--platform", str(tmp_path / "none.toml"), "P0 ld wb")


def test_help() -> None:
    shown = line("--help", code=0).stdout
    for part in ("Examples:", "Exit:", "cvac", "ialluis", "noncoherent", "---"):
        assert part in shown
