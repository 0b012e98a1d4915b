"""Kinds of findings: what may happen, the rule behind it, and the way out."""

from __future__ import annotations

from dataclasses import dataclass

from pocwatch.arch import manual
from pocwatch.sanitizer.findings import Finding

_MISMATCHED = (
    manual.mismatched("a read", written_cacheable=True, read_cacheable=False)
    + ". "
    + manual.mismatched("a read", written_cacheable=False, read_cacheable=True)
)
_CLEAN = "DC CVAC (or DC CIVAC) over the written range, then DSB, after the write and before the read"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding; `level` is SARIF's: "error", "warning" or "note"."""

    name: str
    title: str
    meaning: str
    rule: str
    repair: str
    level: str = "error"
    reported: bool = True  # by `run` of this version; the others are numbered in the run file


KINDS = (
    Kind(
        "stale-read",
        "Load of stale data",
        "a load sees something older than the latest write",
        _MISMATCHED,
        f"{_CLEAN}; or read and write with the same attributes",
    ),
    Kind(
        "stale-fetch",
        "Fetch of stale instructions",
        "an instruction fetch does: from its source, or from an instruction cache",
        manual.STALE_FETCH,
        "DC CVAU (DC CVAC if the fetch is not cacheable), DSB, IC IVAU, DSB on the PE that writes, ISB "
        "on the one that runs it",
    ),
    Kind(
        "stale-walk",
        "Translation table walk of stale entries",
        "a translation table walk does",
        _MISMATCHED,
        f"{_CLEAN}; or walk with the attributes that the tables are written with",
    ),
    Kind(
        "dma-stale-read",
        "Device's read of stale data",
        "a device's read does",
        _MISMATCHED,
        f"{_CLEAN}; or a device that snoops the caches",
        reported=False,
    ),
    Kind(
        "lost-write",
        "Write that may be lost",
        "a read for which the latest data may be gone for good: a dirty line may have overwritten it, or "
        "an invalidate discarded it",
        manual.LOST_WRITE,
        "DC CIVAC and DSB before the caches are bypassed; DC CIVAC where only an invalidate was",
    ),
    Kind(
        "leak",
        "Another VM's data may be read",
        "one of the above in a guest, on a line that another VM wrote before: the stale bytes may be "
        "that VM's",
        _MISMATCHED,
        "DC CIVAC over the page, then DSB, before it is given to the next VM",
    ),
    Kind(
        "unsynced-fetch",
        "Fetch without context synchronization",
        "a fetch of new, coherent code without a context synchronisation event since; with `--unsynced` "
        "only",
        manual.UNSYNCED,
        "ISB on the PE that runs the code, after the maintenance is complete",
        "warning",
    ),
    Kind(
        "redundant",
        "Maintenance that changed nothing",
        "no finding of a run: `--redundant` adds counts to the summary",
        "the operation left the state of every cell of the line as it was",
        "leave the operation out",
        "note",
        reported=False,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def of(finding: Finding) -> Kind:
    """Return a finding's kind; one of a later version stands for itself."""
    name = finding.kind
    return BY_NAME.get(name) or Kind(name, name, name, finding.rule, "; ".join(finding.repair))
