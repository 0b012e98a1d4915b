"""What `pocwatch synth` found, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pocwatch.cost.policies import SOURCES, Axes
from pocwatch.kvm.policy import Operation
from pocwatch.kvm.synth.explain import Explained, Without
from pocwatch.kvm.synth.judge import names_of_choices
from pocwatch.report.synthesis import Synthesis, compared, covered, differences, operation

Json = dict[str, Any]


def json_value(found: Synthesis) -> Json:
    """Return the whole record. Times are in ns, typical ones in the costs of the front."""
    return {
        "platform": found.space.platform.name,
        "costs": found.costs.model.name,
        "scenarios": list(found.scenarios),
        "left_out": [{"scenario": name, "reason": why} for name, why in found.left_out],
        "space": {
            "policies": float(found.space.size),
            "slots": len(found.space.slots),
            "choices": [names_of_choices(choices) for choices in found.space.choices],
        },
        "workload": {
            name: {"value": value, "source": SOURCES[name]}
            for name, value in asdict(found.costs.workload).items()
        },
        "complete": found.complete,
        "confirmed": found.confirmed,
        "covered": covered(found),
        "front": [_policy(found, policy) for policy in found.front],
        "reference": _reference(found),
        "compared": compared(found),
        "judged": found.judged,
        "runs": found.runs,
        "refutations": found.refutations,
        "seconds": round(found.seconds, 2),
    }


def _costs(axes: Axes) -> Json:
    return {"time_ns": axes.time / 1000, "data_lines": axes.data_lines, "exits": axes.exits}


def _reference(found: Synthesis) -> Json | None:
    reference = found.reference
    if reference is None:
        return None
    return {
        "policy": reference.name,
        "costs": _costs(reference.costs),
        "refuted": [{"scenario": name, "steps": steps} for name, steps in reference.refuted],
    }


def _policy(found: Synthesis, policy: Explained) -> Json:
    choices, parts = policy.candidate.choices, [why.part for why in policy.parts]
    time = found.costs.time(choices, parts)
    return {
        "costs": _costs(Axes(*policy.costs)),
        "time_ns": {"low": time.low, "typical": time.typical, "high": time.high},
        "counts": {k: n for k, n in asdict(found.costs.counts(choices, parts)).items() if n},
        "lines_lost": sum(found.costs.lines_lost(part, choices) for part in parts),
        "choices": [
            {"choice": why.choice, "without": _without(why.without)} for why in policy.choices
        ],
        "parts": [
            {
                "hook": why.part.slot.hook,
                "when": why.part.slot.when.value,
                "operation": operation(why.part.operation),
                "without": [_without(less) for less in why.without],
            }
            for why in policy.parts
        ],
        "differences": differences(found, policy),
    }


def _without(less: Without) -> Json:
    told: Json = {"instead": _name(less.instead), "scenario": less.scenario, "steps": less.steps}
    if less.dearer is not None:
        told["costs"] = _costs(Axes(*less.dearer))
    return told


def _name(instead: Operation | None) -> str | None:
    return None if instead is None else operation(instead)
