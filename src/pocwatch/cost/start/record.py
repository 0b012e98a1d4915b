"""Outcomes as JSON values and back: what is kept of a sweep, and what workers send."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pocwatch.cost.counts import Counts
from pocwatch.cost.quantity import Estimate
from pocwatch.cost.start.events import Phase
from pocwatch.cost.start.latency import Latency
from pocwatch.cost.start.option import Outcome, Step
from pocwatch.cost.start.vm import Present, Vm

Json = dict[str, Any]


def estimate(value: Estimate) -> Json:
    """Return low, typical and high in ns, not rounded."""
    return {"low": value.low, "typical": value.typical, "high": value.high}


def to_json(outcome: Outcome) -> Json:
    """Return all of an outcome; counts that are 0 are left out."""
    latency = outcome.latency
    return {
        "policy": outcome.policy,
        "present": outcome.present.value,
        "two_readings": outcome.two_readings,
        "vm": asdict(outcome.vm),
        "steps": [
            {
                "phase": step.phase.value,
                "what": step.what,
                "hooks": list(step.hooks),
                "times": step.times,
                "counts": {name: n for name in Counts.__slots__ if (n := getattr(step.counts, name))},
                "time": estimate(step.time),
            }
            for step in outcome.steps
        ],
        "latency": latency
        and {
            **{name: estimate(getattr(latency, name)) for name in ("p50", "p99", "worst")},
            "vcpus": latency.vcpus,
        },
    }


def from_json(value: Json) -> Outcome:
    """Return the outcome again. Raises KeyError, TypeError or ValueError for anything else."""
    latency = value["latency"]
    return Outcome(
        value["policy"],
        Present(value["present"]),
        value["two_readings"],
        Vm(**value["vm"]),
        tuple(
            Step(
                Phase(step["phase"]),
                step["what"],
                tuple(step["hooks"]),
                step["times"],
                Counts(**step["counts"]),
                Estimate(**step["time"]),
            )
            for step in value["steps"]
        ),
        latency
        and Latency(
            p50=Estimate(**latency["p50"]),
            p99=Estimate(**latency["p99"]),
            worst=Estimate(**latency["worst"]),
            vcpus=latency["vcpus"],
        ),
    )
