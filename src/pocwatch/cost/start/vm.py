"""The VM that is started: its RAM, how stage 2 maps it, and what is written to it and touched."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pocwatch.cost.start.assumptions import DEFAULT, Assumptions
from pocwatch.cost.start.errors import BenchError
from pocwatch.cost.start.sizes import show

PAGES: dict[str, int] = {"4K": 1 << 12, "16K": 1 << 14, "64K": 1 << 16, "2M": 1 << 21, "1G": 1 << 30}
MAX_VCPUS = 512


class Present(enum.Enum):
    """Which guest RAM is behind the memslot before the first run."""

    WRITTEN = "written pages"  # what the VMM wrote; the rest comes when the guest touches it
    ALL = "all RAM"  # preallocated: hugetlbfs, mlock, or Xen's domain builder


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM; sizes in bytes. Raises BenchError for what cannot be."""

    ram_bytes: int
    page_bytes: int
    touched_bytes: int
    image_bytes: int
    vcpus: int

    def __post_init__(self) -> None:
        ram = show(self.ram_bytes)
        if self.page_bytes not in PAGES.values():
            raise BenchError(f"page is {show(self.page_bytes)}: accepted are {', '.join(PAGES)}")
        if self.page_bytes > self.ram_bytes:
            raise BenchError(
                f"page {show(self.page_bytes)} is larger than guest RAM {ram}: accepted are pages up to "
                "guest RAM"
            )
        if self.ram_bytes % self.page_bytes:
            raise BenchError(
                f"guest RAM {ram} is no multiple of page {show(self.page_bytes)}: accepted are "
                "multiples"
            )
        for what, size in (("touched", self.touched_bytes), ("image", self.image_bytes)):
            if not 0 < size <= self.ram_bytes:
                raise BenchError(
                    f"{what} {show(size)} is larger than guest RAM {ram}: accepted are sizes up to guest "
                    "RAM"
                    if size > 0
                    else f"{what} is {size}: accepted are sizes above 0"
                )
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise BenchError(f"vcpus is {self.vcpus}: accepted are 1 to {MAX_VCPUS}")

    def pages(self, size_bytes: int) -> int:
        """Return how many pages that is, the last one perhaps in part."""
        return -(-size_bytes // self.page_bytes)

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"{show(self.ram_bytes)} RAM in {show(self.page_bytes)} pages, image "
            f"{show(self.image_bytes)}, touched {show(self.touched_bytes)}, {self.vcpus} "
            f"vCPU{'s' * (self.vcpus != 1)}"
        )


def make(
    ram_bytes: int,
    page_bytes: int = PAGES["4K"],
    *,
    touched_bytes: int | None = None,
    image_bytes: int | None = None,
    vcpus: int = 4,
    assumed: Assumptions = DEFAULT,
) -> Vm:
    """Return a VM; sizes that are not given are those of a Linux guest's boot, as far as RAM allows.

    Raises BenchError.
    """
    image = min(assumed.image_bytes, ram_bytes) if image_bytes is None else image_bytes
    booted = max(image, assumed.booted_bytes + ram_bytes // assumed.ram_per_memmap)
    touched = min(booted, ram_bytes) if touched_bytes is None else touched_bytes
    return Vm(ram_bytes, page_bytes, touched, image, vcpus)
