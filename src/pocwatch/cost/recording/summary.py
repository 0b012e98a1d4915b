"""Everything that a recording tells, as text or as data: what `pocwatch bench --recording` shows."""

from __future__ import annotations

from typing import Any

from pocwatch.cost.model import CostModel
from pocwatch.cost.recording import data, tables, text
from pocwatch.cost.recording.counted import counted, over_time
from pocwatch.cost.recording.later_use import later_use
from pocwatch.cost.recording.ram import guest_ram
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.replay import not_known, replay
from pocwatch.platforms import Platform

SLICES = 10  # of the guests' time


def as_data(recording: Recording, platform: Platform) -> dict[str, Any]:
    """Return the counts, over time too, and what each policy would have done, for JSON."""
    (total,) = counted(recording)
    ram = [guest_ram(recording, vm) for vm in recording.vms()]
    replayed = replay(recording, platform)
    return data.of_all(recording, total, over_time(recording, SLICES), ram, replayed)


def as_text(recording: Recording, platform: Platform, costs: CostModel) -> str:
    """Return the same as tables, with what the recording cannot tell."""
    (total,) = counted(recording)
    ram = [guest_ram(recording, vm) for vm in recording.vms()]
    shown = (
        tables.exits(total),
        tables.maintenance(total),
        tables.pages(total, ram),
        tables.good_for(later_use(recording)),
        tables.over_time(over_time(recording, SLICES)),
        tables.policies(replay(recording, platform), costs, platform.name),
    )
    cut = [] if recording.complete else ["The recording is cut short: the machine was ended.\n"]
    return "\n".join([*cut, *map(text.render, shown), *not_known(recording), ""])
