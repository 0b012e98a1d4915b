"""Prints what is in an event recording: `python -m pocwatch.cost.recording FILE [--json]`."""

from __future__ import annotations

import argparse
import json
import sys

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.recording import RecordingError, data, read, tables, text
from pocwatch.cost.recording.counted import counted, over_time
from pocwatch.cost.recording.later_use import later_use
from pocwatch.cost.recording.ram import guest_ram
from pocwatch.cost.recording.replay import not_known, replay


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pocwatch.cost.recording", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--platform", default="xgene-l3", help="the caches that policies are for")
    parser.add_argument("--costs", default="default", help="a cost set")
    parser.add_argument("--slices", type=int, default=10, help="of the guests' time")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Print a recording; return the exit code."""
    given = _arguments()
    try:
        recording = read(given.file)
        platform, costs = platforms.load(given.platform), model.load(given.costs)
    except (RecordingError, platforms.PlatformError, model.CostError) as error:
        print(f"pocwatch: error: {error}", file=sys.stderr)
        return 2
    (total,) = counted(recording)
    slices = over_time(recording, given.slices)
    ram = [guest_ram(recording, vm) for vm in recording.vms()]
    replayed = replay(recording, platform)
    if given.json:
        print(json.dumps(data.of_all(recording, total, slices, ram, replayed), indent=2))
        return 0
    if not recording.complete:
        print("The recording is cut short: the machine was ended.\n")
    for table in (
        tables.exits(total),
        tables.maintenance(total),
        tables.pages(total, ram),
        tables.good_for(later_use(recording)),
        tables.over_time(slices),
        tables.policies(replayed, costs, platform.name),
    ):
        print(text.render(table))
    for sentence in not_known(recording):
        print(sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
