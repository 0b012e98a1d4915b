"""What pocwatch costs, as ratios within one run. `make bench`.

Boots the demonstration machine without plugin, with an empty plugin and under pocwatch, in turn, and
times the commands that need no machine and the cache simulator. Prints tables and says which goals
are missed; changes nothing but with --update-docs and --json.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import boots
import cachesim
import commands
import tables

from pocwatch.cost.cachesim import CacheSimError
from pocwatch.demo import machine as demo
from pocwatch.demo.errors import DemoError
from pocwatch.sanitizer.errors import MachineError, UsageError

_DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
_WHAT = {"host": ("host", 1), "guest": ("guest", 1), "host-2-cpus": ("host", 2)}


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (default: 5)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*_WHAT, "commands", "cachesim"],
        help="measure this alone; repeatable (default: everything but host-2-cpus)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    parser.add_argument(
        "--update-docs", action="store_true", help="put the tables into docs/performance.md"
    )
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error(f"--runs was given {arguments.runs} but takes 1 or more")
    return arguments


def _boots(wanted: list[str], runs: int) -> list[boots.Boot]:
    if not any(name in _WHAT for name in wanted):
        return []
    machine = demo.prepare(demo.default_cache_dir(), progress=_say)
    return [boots.measure(machine, *_WHAT[name], runs, _say) for name in wanted if name in _WHAT]


def main() -> int:
    """Measure what was asked for; return 1 if a goal is missed."""
    arguments = _arguments()
    wanted = arguments.only or ["host", "guest", "commands", "cachesim"]
    booted = _boots(wanted, arguments.runs)
    timings = commands.measure(arguments.runs, _say) if "commands" in wanted else []
    rates = cachesim.measure(_say) if "cachesim" in wanted else []
    text = tables.markdown(booted, timings, rates, arguments.runs)
    print(text)
    missed = tables.missed(booted, timings, rates)
    for line in missed:
        _say(f"goal missed: {line}")
    if arguments.json:
        record = {
            "machine": platform.platform(),
            "boots": [boot.record() for boot in booted],
            "commands": [timing.record() for timing in timings],
            "cachesim": [rate.record() for rate in rates],
        }
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    if arguments.update_docs:
        tables.put_into(_DOCUMENT, text)
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CacheSimError, DemoError, MachineError, UsageError, OSError) as error:
        sys.exit(f"bench: {error}")
