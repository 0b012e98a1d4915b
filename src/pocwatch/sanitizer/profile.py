"""What a run counted of maintenance: by operation and call stack, with names.

An operation is redundant on a platform if it left the state of every cell of its line as it was: no
observer could tell whether it was done. So is one on a line with other operations in flight never taken
to be: which of them did it nobody can say. Operations by set/way and of a whole instruction cache are
counted, and not judged.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from pocwatch.arch.ops import Op
from pocwatch.sanitizer.findings import Frame
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.stacks import Stacks, where
from pocwatch.trace.profile import Counts


@dataclass(frozen=True, slots=True)
class CallSite:
    """One operation from one call stack, innermost frame first: the operation itself."""

    op: Op
    stack: tuple[Frame, ...]
    el: int
    vm: bool  # whether a guest did it
    count: int
    judged: int  # of these, on a line
    dirty: int  # of those judged, on a line of which memory may have been stale
    lines: int  # different ones
    redundant: int  # of those judged
    needed: Mapping[str, int]  # by platform, how many of those judged there were not redundant

    def needed_on(self) -> tuple[str, ...]:
        """Return the platforms on which some of it was not redundant."""
        return tuple(name for name, times in self.needed.items() if times)

    @property
    def place(self) -> Hashable:
        """What it has in common with itself in another run of the same machine."""
        return (self.op, self.el, self.vm, *(frame.symbol or frame.pc for frame in self.stack))


@dataclass(frozen=True, slots=True)
class Profile:
    """The maintenance of a run; `platforms`: those it was judged on, that of the run first.

    Numbers are those of the first platform, but for `needed`.
    """

    platforms: tuple[str, ...]
    sites: Sequence[CallSite]


def merged(profiles: Sequence[Profile]) -> Profile:
    """Return the first profile with what the others, of the same machine, say of its call sites."""
    needed: dict[Hashable, dict[str, int]] = {}
    for profile in profiles:
        for site in profile.sites:
            needed.setdefault(site.place, {}).update(site.needed)
    names = [name for profile in profiles for name in profile.platforms]
    sites = [replace(site, needed=needed[site.place]) for site in profiles[0].sites]
    return Profile(tuple(dict.fromkeys(names)), sites)


def named(counts: Counts, locator: Locator, platform: str) -> Profile:
    """Return the profile of a run on one platform. Names may show where programs were loaded."""
    locator.settle([where(frame) for frame in counts.frames])
    stacks = Stacks(locator, counts.frames)
    sites = []
    for entry in counts.entries:
        innermost = counts.frames[entry.stack - 1] if entry.stack else None
        sites.append(
            CallSite(
                op=Op(entry.op),
                stack=stacks.of(entry.stack),
                el=innermost.el if innermost else 0,
                vm=where(innermost).vm if innermost else False,
                count=entry.count,
                judged=entry.judged,
                dirty=entry.dirty,
                lines=entry.lines,
                redundant=entry.redundant,
                needed={platform: entry.judged - entry.redundant},
            )
        )
    return Profile((platform,), sites)
