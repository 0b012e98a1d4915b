"""No maintenance at all: what the others are measured against."""

from __future__ import annotations


class NoMaintenance:
    """The hypervisor does nothing."""

    name = "none"
    origin = "the start of the thread's problem statement: caches are left to themselves"
