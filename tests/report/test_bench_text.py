"""The text of a bench: a reviewed golden, and sentences that follow the numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benches import bench

from pocwatch.report import bench_json, bench_text, bench_words

GOLDEN = Path(__file__).with_name("bench.golden.txt")


def test_golden() -> None:
    """Reviewed by hand; `PROMOTE=1 pytest` writes it anew."""
    text = bench_text.text(bench())
    if os.environ.get("PROMOTE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def words(**more: object) -> str:
    return " ".join(bench_words.paragraphs(bench(**more)))  # type: ignore[arg-type]


def test_who_wins_follows_the_costs() -> None:
    """Until the first instruction nothing beats doing it later; cheap set/way is named as no answer."""
    said = " ".join(bench_words.paragraphs(bench("poc-on-fault", "user-space", "setway-at-first-run")))
    assert "Until the first guest instruction: of the three ways of 2013, the cheapest is poc-on" in said
    assert "Not an answer at any price, as the guest may not see its own image: setway-at-first" in said
    assert "clean-ram" not in said


def test_one_size_has_no_ranges_and_no_crossovers() -> None:
    said = words(ram_mib=(1024,))
    assert "from 1G to 1G" not in said
    assert "Crossovers" not in said
    assert "Each GiB" not in said


def test_who_fails_least_is_named_with_what_it_fails() -> None:
    said = " ".join(bench_words.paragraphs(bench("fwb", "mainline-2021", platform="fwb")))
    assert "No option is safe in every scenario. Fewest fail under fwb, " in said
    assert "which fails late-load, dma-bootloader." in said


def test_policies_that_do_not_apply_are_told_in_the_text() -> None:
    assert "  fwb is not applicable: xgene-l3 has no FEAT_S2FWB\n" in bench_text.text(bench())


def test_marks() -> None:
    text = bench_text.text(bench("none", "poc-on-fault"))
    assert "\nX none " in text
    assert "\n! poc-on-fault " in text


def test_assumptions_are_told_with_reasons() -> None:
    text = bench_text.text(bench("none"), assumed=True)
    assert "  early_bytes=2M: of the image, first touched while MMU and caches are off\n" in text
    assert "cost dc_poc_dirty, 50 ns (7 to 300): assumed: no figure is known (E8)" in text


def test_every_series_has_its_text() -> None:
    two = bench("poc-on-fault", "user-space", vcpus=(1, 8))
    assert len(two.series) == 2
    said = " ".join(bench_words.paragraphs(two))
    assert "4K pages, 1 vCPU," in said
    assert "4K pages, 8 vCPUs," in said


def test_json_has_every_number_and_can_be_written() -> None:
    value = json.loads(json.dumps(bench_json.json_value(bench())))
    assert {r["option"] for r in value["results"]} >= {"poc-on-fault", "clean-ram-at-first-run (all RAM)"}
    first = value["results"][0]
    assert first["total"]["low"] <= first["total"]["typical"] <= first["total"]["high"]
    steps = sum(s["time"]["typical"] for s in first["steps"] if s["phase"] != "run")
    assert abs(steps - first["total"]["typical"]) < 1
    assert value["assumptions"]["values"]["loads"]["value"] == 100
    assert [p["policy"] for p in value["policies"] if p["not_applicable"]] == ["fwb"]
    (crossover,) = [
        c for c in value["crossovers"]
        if (c["quantity"], c["cheaper"], c["dearer"]) == ("total", "user-space", "poc-on-fault")
    ]  # fmt: skip
    assert 64 << 20 < crossover["typical_bytes"] < 1 << 30
