"""What happens while a VM starts, boots, runs and stops, as far as a policy may act on it.

`boot.Boot` makes the events of a Linux guest from a few numbers. Another source, such as a recording of
a real boot, only has to give events too.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pocwatch.cost.counts import Counts
from pocwatch.cost.start.caches import Segment
from pocwatch.cost.start.vm import Present, Vm
from pocwatch.kvm.policy import Access, Choices
from pocwatch.platforms import Platform

NO_COUNTS = Counts()


class Phase(enum.Enum):
    """When it happens. START phases come before the first guest instruction."""

    CREATE = "create"
    LOAD = "load"
    FIRST_RUN = "first run"
    FIRST_FETCH = "first fetch"
    MMU_OFF = "boot, MMU off"
    MMU_ON = "boot, MMU on"
    STOP = "stop"
    RUN = "run"  # each second


START = (Phase.CREATE, Phase.LOAD, Phase.FIRST_RUN, Phase.FIRST_FETCH)
BOOT = (Phase.MMU_OFF, Phase.MMU_ON)
ONCE = (*START, *BOOT, Phase.STOP)


class Written(enum.Enum):
    """Who writes the range through a cache, and when; nobody, if it is only read."""

    BEFORE = "by the host, before the hooks"
    AFTER = "by the guest, after the hooks"
    BOTH = "by both"
    NEVER = "by nobody"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens `times` times, each on `size_bytes` of a segment of `of_bytes`.

    `hooks` are called in order, each time. `segment` None: all guest RAM that is present. `racing`
    vCPUs do it at once, 0 if it is no fault. `same_range`: it is the same range each time. `added`:
    exits of all the times that a choice of the policy causes.
    """

    phase: Phase
    what: str
    hooks: tuple[str, ...]
    times: int
    size_bytes: int
    segment: Segment | None
    of_bytes: int
    written: Written = Written.NEVER
    access: Access | None = None
    caches_on: bool = False
    executable: bool = False
    racing: int = 0
    same_range: bool = False
    added: Counts = NO_COUNTS


class EventSource(Protocol):
    """Where events come from. They may depend on the policy's choices, not on what its hooks do."""

    def events(
        self, vm: Vm, present: Present, choices: Choices, platform: Platform
    ) -> Sequence[Event]:
        """Return the events of a VM's life, in order."""
        ...
