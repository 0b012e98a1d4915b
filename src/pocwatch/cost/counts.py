"""How often each operation with a cost was done: what a policy, a trace or a person hands over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Operations done, by what they cost. All are 0 or more; ValueError names one that is not.

    `dc_poc_*` are operations by VA to the PoC (DC CVAC, CIVAC, IVAC), by the state of the line they
    find: in some cache dirty, in some cache clean, or in none. A fault is counted once, with its way
    into the hypervisor and back; maintenance done while handling it is counted by itself.
    """

    dc_poc_dirty: int = 0
    dc_poc_clean: int = 0
    dc_poc_absent: int = 0
    dc_pou: int = 0  # DC CVAU
    ic_ivau: int = 0
    ic_iallu: int = 0
    ic_ialluis: int = 0
    dsb: int = 0
    set_way_lines: int = 0  # lines of all levels that a set/way loop goes over, present or not
    stage2_faults: int = 0  # translation faults of data accesses
    prefetch_faults: int = 0  # translation faults of instruction fetches
    permission_faults: int = 0
    traps_tvm: int = 0  # HCR_EL2.TVM: writes to translation registers
    traps_tsw: int = 0  # HCR_EL2.TSW: set/way operations
    traps_dc: int = 0  # operations by VA that the hypervisor emulates
    bytes_cleaned: int = 0  # written back to memory by all of it; see `written_back`

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"counts: {name} is {value!r}: accepted are whole numbers from 0")

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        )

    def __mul__(self, times: int) -> Counts:
        """Return the counts of doing it `times` times."""
        return Counts(**{name: getattr(self, name) * times for name in self.__slots__})

    __rmul__ = __mul__

    def written_back(self, line_bytes: int) -> int:
        """Return the bytes that go to memory: `bytes_cleaned`, but at least every dirty line's."""
        return max(self.bytes_cleaned, self.dc_poc_dirty * line_bytes)
