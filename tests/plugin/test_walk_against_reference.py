"""The plugin's walker and the literal reference agree on random tables, regimes and controls."""

from __future__ import annotations

import ctypes
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_machine import Memory, random_machine
from walker import FAULTS, NO_ADDRESS, READ64, CRegs, CTranslation

from pocwatch.arch.ops import Kind
from pocwatch.arch.translation import Registers, Translation, Why, translate
from pocwatch.trace import records

MACHINES = 5000


class Walker:
    """`pw_translate` of the plugin."""

    def __init__(self, plugin: ctypes.CDLL) -> None:
        assert plugin.pw_sizeof_regs() == ctypes.sizeof(CRegs)
        assert plugin.pw_sizeof_translation() == ctypes.sizeof(CTranslation)
        self.function = plugin.pw_translate
        self.function.argtypes = (
            ctypes.POINTER(CRegs),
            ctypes.c_uint64,
            ctypes.c_int,
            READ64,
            ctypes.c_void_p,
            ctypes.POINTER(CTranslation),
        )

    def __call__(self, registers: Registers, memory: Memory, va: int, fetch: bool) -> CTranslation:
        regs = CRegs(*(int(getattr(registers, name)) for name, _ in CRegs._fields_))
        out = CTranslation()

        def read(_opaque: int, pa: int, value: ctypes._Pointer[ctypes.c_uint64]) -> int:
            data = memory.read(pa)
            if data is None:
                return 0
            value[0] = int.from_bytes(data, "little")
            return 1

        self.function(regs, va, fetch, READ64(read), None, out)
        return out


@pytest.fixture(scope="session")
def walker(plugin: ctypes.CDLL) -> Walker:
    return Walker(plugin)


def why(flags: int, kind: int) -> int:
    """The reasons, without HCR_EL2.CD where it decides nothing."""
    return flags & ~Why.HCR_CD if kind == Kind.DEV else flags


def of_reference(translation: Translation) -> dict[str, object]:
    """What both walkers must say alike."""
    answer: dict[str, object] = {
        "fault": translation.fault,
        "reads": [(r.stage, r.level, r.pa, r.ipa, r.value, int(r.kind)) for r in translation.reads],
    }
    if translation.fault is not None:
        answer["fault stage"] = translation.fault_stage
        return answer
    return answer | {
        "pa": translation.pa,
        "ipa": translation.ipa,
        "kind": int(translation.kind),
        "why": why(int(translation.why), translation.kind),
        "stage 1 on": translation.stage1_on,
        "mair": translation.s1_mair,
        "mem attr": translation.s2_attr,
    }


def of_plugin(out: CTranslation) -> dict[str, object]:
    fault = FAULTS[out.fault]
    answer: dict[str, object] = {
        "fault": fault,
        "reads": [
            (d.stage, d.level, d.pa, None if d.ipa == NO_ADDRESS else d.ipa, d.value, d.kind)
            for d in out.descriptors[: out.n_descriptors]
        ],
    }
    if fault is not None:
        answer["fault stage"] = out.fault_stage
        return answer
    return answer | {
        "pa": out.pa,
        "ipa": None if out.ipa == NO_ADDRESS else out.ipa,
        "kind": out.kind,
        "why": why(out.why, out.kind),
        "stage 1 on": bool(out.mmu_on),
        "mair": out.s1_mair,
        "mem attr": out.s2_attr,
    }


@settings(
    max_examples=MACHINES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, (1 << 64) - 1))
def test_both_walkers_agree(walker: Walker, seed: int) -> None:
    machine = random_machine(Random(seed))
    for va in machine.addresses:
        for fetch in (False, True):
            expected = translate(machine.registers, machine.memory.read, va, fetch=fetch)
            given_ = walker(machine.registers, machine.memory, va, fetch)
            assert of_plugin(given_) == of_reference(expected), (hex(va), fetch, machine.registers)


def test_reasons_have_the_numbers_of_the_run_file() -> None:
    assert {w.name: w.value for w in Why} == {w.name: w.value for w in records.Why}


def test_the_random_machines_are_not_vacuous() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        machine = random_machine(Random(seed))
        for va in machine.addresses:
            result = translate(machine.registers, machine.memory.read, va, fetch=bool(seed & 1))
            seen["fault" if result.fault else "kind " + result.kind.name] += 1
            if not result.fault:
                seen["both stages"] += result.stage1_on and result.ipa is not None
                seen["level -1"] += any(r.level == -1 for r in result.reads)
                seen["beyond 48 bits"] += result.pa >> 48 != 0
    assert sum(seen[name] for name in seen if name.startswith("kind")) > 1.5 * seen["fault"], seen
    for name in ("kind WB", "kind WT", "kind NC", "kind DEV", "both stages", "level -1"):
        assert seen[name] > 20, (name, seen)
    assert seen["beyond 48 bits"] > 20, seen
