"""Cost sets: the shipped ones are whole and say where numbers come from; mistakes are named exactly."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from pocwatch.cost import model
from pocwatch.cost.model import CostError

# The set's costs that a published figure stands behind; facts E8 says that nothing else is known.
PUBLISHED = {
    "default": {"dc_poc_absent", "set_way_line", "stage2_fault", "trap"},
    "kunpeng920": {"dc_poc_absent", "dsb", "stage2_fault", "permission_fault"},
    "e3-2021": {"dc_poc_absent", "trap"},
    "cortex-a17": {"set_way_line"},
}


def text(name: str = "default") -> str:
    return (resources.files("pocwatch.cost") / "costs" / f"{name}.toml").read_text()


def changed(cost: str, key: str, value: str) -> str:
    """The default set with one line of one cost replaced; an empty value removes the line."""
    line = f"{key} = {value}\n" if value else ""
    new, count = re.subn(
        rf'(\[{cost}\]\n(?:(?!\[).*\n)*?){key} = (?:"""[^"]*"""|.*)\n',
        lambda m: m[1] + line,
        text(),
    )
    assert count == 1
    return new


def test_all_are_shipped() -> None:
    assert model.names() == tuple(sorted(PUBLISHED))


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_sets_are_whole_and_sourced(name: str) -> None:
    costs = model.load(name)
    assert set(costs.costs) == set(model.COSTS)
    assert costs.description
    assert not costs.warnings
    assert {k for k, c in costs.costs.items() if not c.assumed} == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_assumed_is_wide(name: str) -> None:
    """An assumption is no measurement: its bounds are a factor of two apart at least."""
    for key, cost in model.load(name).costs.items():
        if cost.assumed:
            assert cost.estimate.high >= 2 * cost.estimate.low, key


def test_the_default_is_used_if_none_is_named() -> None:
    assert model.load() == model.load("default")


def test_a_file_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(changed("dsb", "typical", "77").replace("line_bytes = 64", "line_bytes = 128"))
    costs = model.load(str(path))
    assert (costs.name, costs.line_bytes, costs["dsb"].typical) == ("mine", 128, 77)


@pytest.mark.parametrize("cost", model.COSTS)
def test_a_missing_cost_is_named(cost: str) -> None:
    without = re.sub(rf"\[{cost}\]\n(?:(?!\[).*\n?)*", "", text())
    with pytest.raises(CostError, match=rf"cost set 'x': cost {cost} is missing"):
        model.parse(without, "x")


@pytest.mark.parametrize("cost", model.COSTS)
@pytest.mark.parametrize("key", ["low", "typical", "high"])
def test_a_negative_cost_is_named(cost: str, key: str) -> None:
    with pytest.raises(CostError, match=rf"cost set 'x': {cost}\.{key} is -1: accepted are"):
        model.parse(changed(cost, key, "-1"), "x")


@pytest.mark.parametrize("key", ["low", "typical", "high", "unit", "source"])
def test_a_missing_part_of_a_cost_is_named(key: str) -> None:
    with pytest.raises(CostError, match=rf"cost set 'x': ic_ivau\.{key} is missing"):
        model.parse(changed("ic_ivau", key, ""), "x")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("low", "1e6", "ic_ivau has low 1e+06, typical 30, high 300: accepted is low <= typical"),
        ("typical", '"30"', "ic_ivau.typical is '30': it takes a number"),
        ("typical", "true", "ic_ivau.typical is True: it takes a number"),
        ("high", "inf", "ic_ivau.high is inf: accepted are finite numbers"),
        ("high", "nan", "ic_ivau.high is nan: accepted are finite numbers"),
        ("unit", '"us"', "ic_ivau.unit is 'us': accepted is 'ns'"),
        ("source", '"a friend"', "ic_ivau.source is 'a friend': accepted are 'E1: ...'"),
        ("source", "1", "ic_ivau.source is 1: accepted are 'E1: ...'"),
    ],
)
def test_a_wrong_cost_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(CostError, match=re.escape(f"cost set 'x': {said}")):
        model.parse(changed("ic_ivau", key, value), "x")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("speed = 1\n", "unknown key 'speed': accepted are description"),
        ("line_bytes = 65\n", "line_bytes is 65: accepted are 16, 32, 64, 128, 256"),
        ('line_bytes = "64"\n', "line_bytes is '64': it takes a TOML int"),
        ("dsb = 3\n", "dsb is 3: it takes a table [dsb]"),
        ("[dsb]\nmean = 3\n", "unknown key dsb.mean: accepted are low, typical"),
        ("= 3\n", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(wrong: str, said: str) -> None:
    rest = re.sub(r"\[dsb\]\n(?:(?!\[).*\n?)*", "", text()).replace("line_bytes = 64\n", "")
    with pytest.raises(CostError, match=re.escape(f"cost set 'x': {said}")):
        model.parse(wrong + rest if "[" not in wrong else rest + wrong, "x")


def test_memory_that_takes_nothing_is_refused() -> None:
    with pytest.raises(CostError, match=r"clean_bandwidth\.low is 0: accepted is more than 0"):
        model.parse(changed("clean_bandwidth", "low", "0"), "x")


def test_names_and_files_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CostError, match=r"unknown cost set 'a76': accepted are cortex-a17, default"):
        model.load("a76")
    with pytest.raises(CostError, match=r"'nowhere\.toml' cannot be read: No such file"):
        model.load("nowhere.toml")
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(CostError, match="it is not UTF-8 text"):
        model.load(str(binary))


def test_emulated_and_incomplete_sets_carry_a_warning() -> None:
    marked = "emulated = true\ncomplete = false\n" + text()
    first, second = model.parse(marked, "x").warnings
    assert "emulator" in first
    assert "did not run to the end" in second
    assert "emulated" not in tomllib.loads(text())
