"""Rules of the Arm ARM (DDI 0487) that reports cite: one sentence each, by section title."""

from __future__ import annotations

_MANUAL = "Arm ARM DDI 0487, "

# Facts C9, C14.
UNSYNCED = (
    _MANUAL + '"Ordering and completion of data and instruction cache instructions": after '
    "new code is coherent, the PE that runs it needs a context synchronization event (ISB)"
)
# Facts C4, C10.
LOST_WRITE = (
    _MANUAL + '"Cache maintenance instructions": an invalidate may lose updates that were '
    "not cleaned, and a dirty line may be written back at any time"
)
# Fact C14.
STALE_FETCH = (
    _MANUAL + '"Synchronization and coherency issues between data and instruction accesses": '
    "a write of instructions needs DC CVAU, DSB, IC IVAU, DSB before they are fetched, and "
    "ISB on the PE that runs them"
)
# Facts A6, C5.
SET_WAY = (
    _MANUAL + '"Cache maintenance instructions": one by set/way works on the caches of the PE that '
    "executes it; lines may move to another PE's, and system caches are not reached"
)
# Fact C9.
COMPLETION = (
    _MANUAL + '"Ordering and completion of data and instruction cache instructions": maintenance is '
    "complete at the DSB of the PE that executed it; before, it may or may not have happened"
)
# Fact C3.
MOVES = (
    _MANUAL + '"General behavior of the caches": a line of a cacheable location may be allocated, '
    "evicted or written back at any time"
)
# Facts A9, C12.
STAGE1_OFF = (
    _MANUAL + '"The effects of disabling a stage of address translation": with SCTLR_EL1.M and '
    "HCR_EL2.DC clear, data accesses are Device-nGnRnE, and fetches are Normal, Non-cacheable if "
    "SCTLR_EL1.I is clear"
)


def mismatched(reader: str, *, written_cacheable: bool, read_cacheable: bool) -> str:
    """Return the rule for a location that is written and read with other attributes.

    `reader` is a noun. Facts C10, C12, C16.
    """
    if written_cacheable and not read_cacheable:
        return (
            _MANUAL + f'"Mismatched memory attributes": a cacheable write is seen by {reader} that '
            "is not cacheable only after the location is cleaned to the Point of Coherency and "
            "the clean has completed"
        )
    return (
        _MANUAL + f'"Mismatched memory attributes": after a write that is not cacheable, {reader} '
        "that is cacheable needs the location invalidated in the caches first"
    )
