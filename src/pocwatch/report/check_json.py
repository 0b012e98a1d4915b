"""Results of `pocwatch check` as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pocwatch.kvm.state import Action
from pocwatch.kvm.verdict import ASSUMPTIONS, Result

Json = dict[str, Any]


def json_value(results: Sequence[Result], *, complete: bool) -> Json:
    """Return all results; `complete`: none of the cells asked for is missing."""
    return {
        "complete": complete,
        "assumptions": list(ASSUMPTIONS),
        "results": [cell(result) for result in results],
    }


def cell(result: Result) -> Json:
    """Return one result. `word` is the counterexample as `pocwatch line` takes it."""
    return {
        "scenario": result.scenario,
        "policy": result.policy,
        "platform": result.platform,
        "verdict": result.verdict.value,
        "states": result.states,
        "seconds": round(result.seconds, 4),
        "reason": result.reason,
        "trace": [_event(action) for action in result.trace],
        "word": "; ".join(str(step) for step in result.word),
    }


def _event(action: Action) -> Json:
    told: Json = {"agent": action.agent, "event": action.event, "why": action.why}
    if action.steps:
        told["line"] = [{"page": page, "step": str(step)} for page, step in action.steps]
    if action.read is not None:
        told["read"] = action.read
    return told
