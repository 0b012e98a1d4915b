"""What `pocwatch bench` found, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pocwatch.cost.start import assumptions
from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.record import estimate, to_json
from pocwatch.cost.start.series import QUANTITIES, crossovers
from pocwatch.report.bench_words import paragraphs

Json = dict[str, Any]


def json_value(bench: Bench) -> Json:
    """Return all of it. Times are in ns and not rounded; sizes in bytes."""
    return {
        "platform": bench.platform.name,
        "costs": {
            "name": bench.model.name,
            "assumed": [name for name, cost in bench.model.costs.items() if cost.assumed],
            "warnings": list(bench.model.warnings),
        },
        "seed": bench.seed,
        "assumptions": {
            "values": {
                name: {"value": value, "reason": assumptions.REASONS[name]}
                for name, value in asdict(bench.assumed).items()
            },
            "statements": list(assumptions.STATEMENTS),
        },
        "policies": [
            {
                "policy": safety.policy,
                "safe": safety.why_not is None and safety.safe,
                "fails": list(safety.fails),
                "leaks": list(safety.leaks),
                "not_applicable": safety.why_not,
            }
            for safety in bench.safety.values()
        ],
        "results": [_result(outcome) for outcome in bench.outcomes],
        "crossovers": [
            {"page_bytes": series.page_bytes, "vcpus": series.vcpus, **asdict(crossover)}
            for series in bench.series
            for quantity in QUANTITIES
            for crossover in crossovers(series, quantity, bench.of_thread(series))
        ],
        "text": paragraphs(bench),
    }


def _result(outcome: Outcome) -> Json:
    whole = {
        "option": outcome.name,
        **to_json(outcome),
        "start": estimate(outcome.start),
        "total": estimate(outcome.total),
        "steady": estimate(outcome.steady),
    }
    del whole["two_readings"]
    return whole
