"""The line model's rules, one by one: words whose verdicts follow by hand from the cited facts.

A case is (rule, platform, word, the verdicts of its reads in order). Every case is put to the table, to
the literal model and to the oracle.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from verdicts import check

from pocwatch import platforms
from pocwatch.platforms import Level, Platform

F, S, U = "fresh", "stale", "unsynced"
ALL = platforms.names()
BY_VA_TO_POC = tuple(name for name in ALL if name != "l2x0-up")
ONE_PE = tuple(name for name in ALL if platforms.load(name).pes == 1)
SEVERAL_PES = tuple(name for name in ALL if name not in ONE_PE)
NO_DIC = tuple(name for name in ALL if not platforms.load(name).dic)
Case = tuple[str, str | tuple[str, ...] | Platform, str, list[str]]

# CTR_EL0.DIC without IDC, which no shipped platform has: the data side alone decides a fetch.
DIC_ONLY = replace(platforms.load("cortex-a57"), name="dic-only", dic=True)
# The Point of Unification at memory.
POU_AT_MEMORY = Platform("pou-at-memory", "", 1, (Level("L1D", True, True),), first_unified=1)
# CTR_EL0.IDC without DIC.
IDC_ONLY = replace(platforms.load("cortex-a57"), name="idc-only", idc=True)

# All PEs of a one-PE platform off, caches empty: nothing fills but by demand.
QUIET = "P0 mmu off; P0 dc civac; P0 dsb; "
CLEAN = "P0 dc cvac; P0 dsb; "
CODE = "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; "

SILENT_MOVES: list[Case] = [
    ("C3a a cache may have filled before the write", ALL, "P0 ld wb; P0 st nc; P0 ld wb", [F, S]),
    ("C3a or fill unasked", ALL, "P0 st nc; P0 ld wb", [S]),
    ("C3a refills at once after a clean+invalidate", "cortex-a57",
     "P0 dc civac; P0 dsb; P0 st nc; P0 ld wb", [S]),
    ("C3b no fill while no PE has its caches on", ("cortex-a57-up", "xgene-l3-up"),
     QUIET + "P0 st nc; P0 ld wb", [F]),
    ("C3b another PE that is on fills", SEVERAL_PES, QUIET + "P0 st nc; P0 ld wb", [S]),
    ("C3b the outer cache keeps what it had", "l2x0-up", QUIET + "P0 st nc; P0 ld wb", [S]),
    ("C3b the outer cache emptied first", "l2x0-up",
     "P0 mmu off; P0 outer flush; P0 dc civac; P0 dsb; P0 st nc; P0 ld wb", [F]),
    ("C3b a demand access fills with all off", "cortex-a57-up",
     QUIET + "P0 ld wb; P0 st nc; P0 ld wb", [F, S]),
    ("C3b a coherent DMA read is a demand access", "cortex-a57-up",
     QUIET + "D0 rd coherent; P0 st nc; P0 ld wb", [F, S]),
    ("C3b a table walk is one", "cortex-a57-up",
     QUIET + "P0 tw wb; P0 st nc; P0 tw wb", [F, S]),
    ("C3b a Non-cacheable read is none", "cortex-a57-up",
     QUIET + "P0 ld nc; P0 ld dev; P0 st nc; P0 ld wb", [F, F, F]),
    ("C3b demand by a load elsewhere in the line", "cortex-a57-up",
     QUIET + "P0 ld wb +8; P0 st nc; P0 ld wb", [F, S]),
    ("C3b what was filled before switching off stays", "cortex-a57-up",
     "P0 mmu off; P0 st nc; P0 ld wb", [S]),
    ("C3b on again, after the write: only new data can fill", "cortex-a57-up",
     QUIET + "P0 st nc; P0 mmu on; P0 ld wb", [F]),
    ("C3b on again, before the write", "cortex-a57-up",
     QUIET + "P0 mmu on; P0 st nc; P0 ld wb", [S]),
    ("C3c a dirty line is written back at any time", ALL, "P0 st wb; P0 st nc; P0 ld nc", [S]),
    ("C3c also with all MMUs off", ONE_PE, "P0 mmu off; P0 st wb; P0 st nc; P0 ld nc", [S]),
    ("C3c but nothing makes it so", ALL, "P0 st wb; P0 ld nc", [S]),
    ("C3d a clean line is never written back", ALL, "P0 ld wb; P0 st nc; P0 ld nc", [F, F]),
]

EVENTS: list[Case] = [
    ("C3f `st wb`: caches of the domain are coherent", ALL, "P0 st wb; P1 ld wb; P1 tw wb", [F, F]),
    ("C10 `st wb`: memory is old", ALL, "P0 st wb; P1 ld nc; P1 ld dev; P1 tw nc", [S, S, S]),
    ("C16 `st wb`: a device that does not snoop", ALL,
     "P0 st wb; D0 rd noncoherent; D0 rd coherent", [S, F]),
    ("C10 `st wb` on one cell makes its neighbours dirty with what they held", ALL,
     "P0 st nc +8; P0 ld nc +8; P0 st wb; P0 ld nc +8", [F, S]),
    ("C10 harmless if the line was clean and new", "cortex-a57-up",
     QUIET + "P0 st nc +8; P0 st wb; P0 ld nc +8; P0 ld wb +8", [F, F]),
    ("C10 until the neighbour is written around it", "cortex-a57-up",
     QUIET + "P0 st wb; P0 st nc +8; P0 ld nc +8; P0 ld wb +8", [S, S]),
    ("C10 `st wb` leaves a neighbour's readers alone", ALL, "P0 st wb; P0 ld nc +8", [F]),
    ("C10 `st nc`: memory latest, copies stale", ALL, "P0 st nc; P1 ld nc; P1 ld dev; P1 ld wb",
     [F, F, S]),
    ("C10 `st dev` as `st nc`", ALL, "P0 st dev; P1 ld nc; P1 ld dev; P1 ld wb", [F, F, S]),
    ("C10 `st nc` touches no other cell", ALL, "P0 st nc; P0 ld nc +8; P0 ld wb +8", [F, F]),
    ("C10 `st nc` keeps dirty flags: an old dirty line overwrites it", "cortex-a57-up",
     "P0 mmu off; P0 st wb; P0 st nc; P0 ld nc; P0 ld wb", [S, S]),
    ("C10 a write-back store hides it again", ALL, "P0 st nc; P0 st wb; P0 ld wb; P0 ld nc", [F, S]),
    ("C18 `st wt` may go around the caches", ALL, "P0 st wt; P0 ld nc; P0 ld wb", [F, S]),
    ("C18 `st wt` either way, no copies", "cortex-a57-up",
     QUIET + "P0 st wt; P0 ld nc; P0 ld wb; P0 ld wt", [F, F, F]),
    ("C18 `st wt` keeps dirty flags", ALL, "P0 st wb; P0 st wt; P0 ld nc", [S]),
    ("C18 `st wt` touches no other cell", ALL, "P0 st wt; P0 ld wb +8; P0 ld nc +8", [F, F]),
    ("C18 `ld wt` may be either read", ALL, "P0 st wb; P1 ld wt; P1 dc cvac", [S]),
    ("C18 `ld wt` may hit an old copy", ALL, "P0 st nc; P1 ld wt", [S]),
    ("C16 coherent DMA write: no stale copy is left", ALL, "P0 ld wb; D0 wr coherent; P0 ld wb",
     [F, F]),
    ("C16 it replaces a dirty line", ALL, "P0 st wb; D0 wr coherent; P0 ld wb", [F]),
    ("C16 it may be allocated in the last level", ALL,
     "D0 wr coherent; P0 ld nc; D0 rd noncoherent; D0 rd coherent", [S, S, F]),
    ("C16 and is cleaned from there", BY_VA_TO_POC, "D0 wr coherent; " + CLEAN + "P0 ld nc", [F]),
    ("C16 which for an outer cache takes its controller", "l2x0-up",
     "D0 wr coherent; " + CLEAN + "P0 ld nc; P0 outer clean; P0 ld nc", [S, F]),
    ("C16 set/way of one PE reaches it if it reaches the last level", "cortex-a57-up",
     "D0 wr coherent; P0 dc csw; P0 dsb; P0 ld nc", [F]),
    ("C16 not the L3", "xgene-l3-up", "D0 wr coherent; P0 dc csw; P0 dsb; P0 ld nc", [S]),
    ("C16 no other cell", ALL, "D0 wr coherent; P0 ld nc +8; P0 ld wb +8", [F, F]),
    ("C16 non-coherent DMA write: memory latest, copies stale", ALL,
     "D0 wr noncoherent; D0 rd noncoherent; P0 ld nc; P0 ld wb; D0 rd coherent", [F, F, S, S]),
    ("C16 no other cell either", ALL, "D0 wr noncoherent; P0 ld wb +8; P0 ld nc +8", [F, F]),
    ("C8 `dc zva` stores to the whole line", ALL,
     "P0 dc zva; P0 ld wb; P0 ld nc; P0 ld nc +8; P0 ld nc +56; P0 ld wb +56", [F, S, S, S, F]),
    ("C8 wherever in the line it points", ALL, "P0 dc zva +24; P0 ld nc; P0 ld wb", [S, F]),
    ("C8 `dc zva` hides what was written around the caches", ALL,
     "P0 st nc +8; P0 dc zva; P0 ld wb +8", [F]),
    ("design: reads are judged for the cell they touch", ALL,
     "P0 st wb +16; P0 ld nc; P0 ld nc +8; P0 ld nc +16; P0 ld nc +20; P0 ld nc +24",
     [F, F, S, S, F]),
]

POU_AND_POC: list[Case] = [
    ("A15 by VA to PoC reaches the external L3", ("xgene-l3", "xgene-l3-up", "fwb"),
     "P0 st wb; " + CLEAN + "P0 ld nc", [F]),
    ("C4 `cvac` makes memory latest", BY_VA_TO_POC, "P0 st wb; " + CLEAN + "P1 ld dev; P1 ld wb",
     [F, F]),
    ("C4 so does `cvap`", BY_VA_TO_POC, "P0 st wb; P0 dc cvap; P0 dsb; P1 ld dev", [F]),
    ("C4 so does `civac`", BY_VA_TO_POC, "P0 st wb; P0 dc civac; P0 dsb; P1 ld dev; P1 ld wb",
     [F, F]),
    ("C4 cleaning does not remove old copies", ALL, "P0 st nc; P0 dsb; " + CLEAN + "P0 ld wb", [S]),
    ("C4 `civac` removes them", BY_VA_TO_POC, "P0 st nc; P0 dsb; P0 dc civac; P0 dsb; P0 ld wb", [F]),
    ("C4 `ivac` removes them", BY_VA_TO_POC, "P0 st nc; P0 dsb; P0 dc ivac; P0 dsb; P0 ld wb", [F]),
    ("C4 `civac` over an old dirty line loses the newer memory", BY_VA_TO_POC,
     "P0 st wb; P0 st nc; P0 dsb; P0 dc civac; P0 dsb; P0 ld nc; P0 ld wb", [S, S]),
    ("C7 `ivac` may discard", ALL, "P0 st wb; P0 dc ivac; P0 dsb; P0 ld wb; P0 ld nc", [S, S]),
    ("C7 and a neighbour's data with it", ALL, "P0 st wb +8; P0 dc ivac; P0 dsb; P0 ld wb +8", [S]),
    ("C7 harmless once cleaned", BY_VA_TO_POC, "P0 st wb; P0 dc cvac; P0 dc ivac; P0 dsb; P0 ld wb",
     [F]),
    ("C1 `cvau` stops at the PoU", ALL, "P0 st wb; P0 dc cvau; P0 dsb; P1 ld nc", [S]),
    ("C1 unless the PoU is memory", POU_AT_MEMORY, "P0 st wb; P0 dc cvau; P0 dsb; P0 ld nc", [F]),
    ("C14 `cvau` makes the PoU latest", DIC_ONLY,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 isb; P0 if wb", [F]),
    ("C14 until then it is stale", DIC_ONLY, "P0 st wb; P0 isb; P0 if wb", [S]),
    ("C14 with IDC the PoU is level 0", "neoverse-dic", "P0 st wb; P0 isb; P0 if wb", [F]),
    ("C14 with IDC a Non-cacheable fetch still needs the PoC", "neoverse-dic",
     "P0 st wb; P0 isb; P0 if nc", [S]),
    ("C14 with IDC `cvau` does nothing", "neoverse-dic", "P0 st wb; P0 dc cvau; P0 dsb; P0 ld nc", [S]),
]

SET_WAY: list[Case] = [
    ("A7 one PE: set/way cleans all architected levels", "cortex-a57-up",
     "P0 st wb; P0 dc csw; P0 dsb; P0 ld nc", [F]),
    ("A7 also when invalidating", "cortex-a57-up", "P0 st wb; P0 dc cisw; P0 dsb; P0 ld nc; P0 ld wb",
     [F, F]),
    ("A6 several PEs: the line may be in another's cache", SEVERAL_PES,
     "P0 st wb; P0 dc csw; P0 dsb; P0 ld nc", [S]),
    ("A6 nor can it be invalidated", SEVERAL_PES,
     "P0 st nc; P0 dsb; P0 dc cisw; P0 dsb; P0 ld wb", [S]),
    ("A6 not even by every PE in turn", "cortex-a57",
     "P0 st wb; P0 dc csw; P0 dsb; P1 dc csw; P1 dsb; P2 dc csw; P2 dsb; P3 dc csw; P3 dsb; P0 ld nc",
     [S]),
    ("A6 set/way does not reach a system cache", ("xgene-l3", "xgene-l3-up", "fwb"),
     "P0 st wb; P0 dc csw; P0 dsb; P0 ld dev", [S]),
    ("A6 which keeps old copies, too", "xgene-l3-up",
     "P0 st nc; P0 dsb; P0 dc cisw; P0 dsb; P0 ld wb", [S]),
    ("A13 one PE, no L3: invalidated", "cortex-a57-up",
     "P0 st nc; P0 dsb; P0 dc cisw; P0 dsb; P0 ld wb", [F]),
    ("C7 `isw` invalidates", "cortex-a57-up", "P0 st nc; P0 dsb; P0 dc isw; P0 dsb; P0 ld wb", [F]),
    ("C7 `isw` may discard", ALL, "P0 st wb; P0 dc isw; P0 dsb; P0 ld wb", [S]),
    ("C7 not what the unreached L3 already has", "xgene-l3-up",
     "P0 st wb; P0 dc csw; P0 dsb; P0 dc isw; P0 dsb; P0 ld wb", [F]),
    ("C5 set/way moves no further than its levels", "l2x0-up",
     "P0 st wb; P0 dc csw; P0 dsb; P0 ld nc; P0 outer clean; P0 ld nc", [S, F]),
]

OUTER: list[Case] = [
    ("A14 by VA does not reach an outer cache", "l2x0-up", "P0 st wb; " + CLEAN + "P0 ld nc", [S]),
    ("A14 its controller does", "l2x0-up", "P0 st wb; " + CLEAN + "P0 outer clean; P0 ld nc", [F]),
    ("A14 `outer flush` cleans as well", "l2x0-up",
     "P0 st wb; " + CLEAN + "P0 outer flush; P0 ld nc; P0 ld wb", [F, F]),
    ("A14 the controller alone does not reach the L1", "l2x0-up", "P0 st wb; P0 outer clean; P0 ld nc",
     [S]),
    ("A14 clean: inner first", "l2x0-up", "P0 st wb; P0 outer clean; " + CLEAN + "P0 ld nc", [S]),
    ("A14 and complete", "l2x0-up", "P0 st wb; P0 dc cvac; P0 outer clean; P0 dsb; P0 ld nc", [S]),
    ("A14 invalidate: outer first", "l2x0-up",
     "P0 st nc; P0 dsb; P0 outer flush; P0 dc civac; P0 dsb; P0 ld wb", [F]),
    ("A14 else the L1 refills from it", "l2x0-up",
     "P0 st nc; P0 dsb; P0 dc civac; P0 dsb; P0 outer flush; P0 ld wb", [S]),
    ("A14 `outer inv` discards", "l2x0-up", "P0 st wb; " + CLEAN + "P0 outer inv; P0 ld wb", [S]),
    ("A14 there is no such controller elsewhere", BY_VA_TO_POC, "P0 st wb; P0 outer flush; P0 ld nc",
     [S]),
]

PENDING: list[Case] = [
    ("C9 not complete without DSB", BY_VA_TO_POC, "P0 st wb; P0 dc cvac; P0 ld nc; P1 ld nc", [S, S]),
    ("C9 a DMB orders the issuer's own later accesses", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 dmb; P0 ld nc", [F]),
    ("C9 of other agents' it orders none", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 dmb; P1 ld nc; D0 rd noncoherent", [S, S]),
    ("C9 a DMB before the operation does not", ALL, "P0 st wb; P0 dmb; P0 dc cvac; P0 ld nc", [S]),
    ("C9 another PE's DSB does not", ALL, "P0 st wb; P0 dc cvac; P1 dsb; P1 dmb; P1 ld nc", [S]),
    ("C9 nor an ISB", ALL, "P0 st wb; P0 dc cvac; P0 isb; P0 ld nc", [S]),
    ("C9 the issuer's own write-back access sees it done", BY_VA_TO_POC,
     "P0 st nc; P0 dsb; P0 dc ivac; P0 ld wb", [F]),
    ("C9 another PE's does not", BY_VA_TO_POC, "P0 st nc; P0 dsb; P0 dc ivac; P1 ld wb", [S]),
    ("C9 a write-back store anywhere in the line does", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 st wb +8; P0 ld nc", [F]),
    ("C9 discarding before the issuer's later store does not lose it", ALL,
     "P0 dc ivac; P0 st wb; P0 ld wb; P0 dsb; P0 ld wb", [F, F]),
    ("C9 after an nc store it may", "cortex-a57",
     "P0 dc civac; P0 dsb; P0 dc ivac; P0 st nc; P0 dsb; P0 ld nc; P0 ld wb", [F, S]),
    ("C9 another PE's store may be lost", ALL, "P0 dc ivac; P1 st wb; P1 ld wb; P0 dsb; P1 ld wb",
     [S, S]),
    ("C9 an nc store and a later operation: DMB needed", BY_VA_TO_POC,
     "P0 st nc; P0 dc civac; P0 dsb; P0 ld wb", [S]),
    ("C9 there it is", BY_VA_TO_POC, "P0 st nc; P0 dmb; P0 dc civac; P0 dsb; P0 ld wb", [F]),
    ("C9 the same for Device", BY_VA_TO_POC, "P0 st dev; P0 dc civac; P0 dsb; P0 ld wb", [S]),
    ("C9 a write-back store and a later operation: in order", BY_VA_TO_POC,
     "P0 st wb; P0 dc civac; P0 dsb; P0 ld nc", [F]),
    ("C9 it is the issuer's store that counts", BY_VA_TO_POC,
     "P1 st nc; P0 dc civac; P0 dsb; P0 ld wb", [F]),
    ("C9 and its own barrier", BY_VA_TO_POC,
     "P0 st nc; P1 dsb; P0 dc civac; P0 dsb; P0 ld wb", [S]),
    ("C9 operations of one PE stay in order", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 dc ivac; P0 dsb; P0 ld wb; P0 ld nc", [F, F]),
    ("C9 the wrong order", ALL, "P0 st wb; P0 dc ivac; P0 dc cvac; P0 dsb; P0 ld wb", [S]),
    ("C9 operations of two PEs do not", ALL,
     "P0 st wb; P0 dc cvac; P1 dc ivac; P0 dsb; P1 dsb; P0 ld wb", [S]),
    ("C9 unless one is complete before the other", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 dsb; P1 dc ivac; P1 dsb; P0 ld wb", [F]),
    ("C9 each is forced by its own PE's DSB", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P1 dc cvac; D0 rd noncoherent; P1 dsb; D0 rd noncoherent", [S, F]),
    ("C9 three PEs pending", "xgene-l3",
     "P0 st wb; P0 dc cvau; P1 dc cvac; P2 dc csw; P0 dsb; P2 dsb; P3 ld nc; P1 dsb; P3 ld nc", [S, F]),
    ("C9 a pending operation may meet a later write", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P1 st wb; P0 dsb; P0 ld nc; P0 ld wb", [S, F]),
    ("C9 table walks see completed maintenance", BY_VA_TO_POC,
     "P0 st wb; P0 dc cvac; P0 tw nc; P0 dsb; P0 tw nc", [S, F]),
]

INSTRUCTION_SIDE: list[Case] = [
    ("C14 the full sequence", NO_DIC, CODE + "P0 isb; P0 if wb", [F]),
    ("C14 before any write there is nothing old", ALL, "P0 if wb; P1 if nc", [F, F]),
    ("C14 without the clean", NO_DIC, "P0 st wb; P0 ic ivau; P0 dsb; P0 isb; P0 if wb",
     [S]),
    ("C14 without it, IDC", IDC_ONLY, "P0 st wb; P0 ic ivau; P0 dsb; P0 isb; P0 if wb", [F]),
    ("C14 without the DSB between", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 ic ivau; P0 dsb; P0 isb; P0 if wb", [S]),
    ("C14 without the invalidation", NO_DIC, "P0 st wb; P0 dc cvau; P0 dsb; P0 isb; P0 if wb", [S]),
    ("C14 without it, DIC", DIC_ONLY, "P0 st wb; P0 dc cvau; P0 dsb; P0 isb; P0 if wb", [F]),
    ("C14 without the DSB after it", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 isb; P0 if wb", [S]),
    ("C14 without the ISB", NO_DIC, CODE + "P0 if wb", [U]),
    ("C14 an ISB too early", NO_DIC, "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 isb; P0 dsb; P0 if wb",
     [U]),
    ("C14 every PE needs its own ISB", NO_DIC, CODE + "P0 isb; P0 if wb; P1 if wb; P1 isb; P1 if wb",
     [F, U, F]),
    ("C14 with IDC and DIC only the ISB", "neoverse-dic",
     "P0 st wb; P0 if wb; P0 isb; P0 if wb; P1 if wb", [U, F, U]),
    ("C14 a Non-cacheable fetch reads memory", NO_DIC, CODE + "P0 isb; P0 if nc", [S]),
    ("C14 cleaned to PoC it is fresh for both", tuple(n for n in BY_VA_TO_POC if n in NO_DIC),
     "P0 st wb; " + CLEAN + "P0 ic ivau; P0 dsb; P0 isb; P0 if nc; P0 if wb", [F, F]),
    ("C14 written Non-cacheable: the caches may hold the old code", NO_DIC,
     "P0 st nc; P0 dsb; P0 ic ivau; P0 dsb; P0 isb; P0 if nc; P0 if wb", [F, S]),
    ("C14 any write makes it possibly stale: DMA", NO_DIC, "D0 wr coherent; P0 isb; P0 if wb", [S]),
    ("C14 any write makes it possibly stale: dc zva", NO_DIC, "P0 dc zva; P0 isb; P0 if wb +60", [S]),
    ("C14 both instructions of the cell written", NO_DIC,
     "P0 st wb +8; P0 if wb; P0 if wb +4; P0 if wb +8; P0 if wb +12; P0 if wb +16", [F, F, S, S, F]),
    ("C5 `ic iallu` is the issuer's own", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic iallu; P0 dsb; P0 isb; P1 isb; P0 if wb; P1 if wb", [F, S]),
    ("C5 `ic ialluis` is every PE's", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ialluis; P0 dsb; P1 isb; P1 if wb", [F]),
    ("C5 so is `ic ivau`", NO_DIC, CODE + "P1 isb; P1 if wb", [F]),
    ("C9 complete at the issuer's DSB, no other's", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P1 dsb; P1 isb; P1 if wb; P0 dsb; P1 isb; P1 if wb",
     [S, F]),
    ("C9 a DMB does not complete it", NO_DIC,
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dmb; P0 isb; P0 if wb", [S]),
    ("design: a write between issue and DSB", NO_DIC,
     "P0 ic ivau; P1 st wb; P1 dc cvau; P1 dsb; P0 dsb; P0 isb; P0 if wb", [S]),
    ("design: the source stale at the issue", NO_DIC,
     "P0 st wb; P0 ic ivau; P1 dc cvau; P1 dsb; P0 dsb; P0 isb; P0 if wb", [S]),
    ("design: a second invalidation of the same PE counts from its own issue", NO_DIC,
     "P0 ic ivau; P1 st wb; P1 dc cvau; P1 dsb; P0 ic ivau; P0 dsb; P0 isb; P0 if wb", [F]),
    ("B1.14 a fetch from old memory spoils the PE's I-cache", NO_DIC,
     CODE + "P0 isb; P0 if wb; P0 if nc; P0 if wb", [F, S, S]),
    ("B1.14 no other PE's", NO_DIC, CODE + "P0 isb; P1 isb; P0 if nc; P1 if wb", [S, F]),
    ("B1.14 invalidated again", NO_DIC,
     CODE + "P0 if nc; P0 ic iallu; P0 dsb; P0 isb; P0 if wb", [S, F]),
    ("B1.14 with DIC, too", "neoverse-dic", "P0 st wb; P0 isb; P0 if wb; P0 if nc; P0 if wb", [F, S, S]),
    ("B1.14 an old I-cache line spoils nothing more", tuple(n for n in BY_VA_TO_POC if n in NO_DIC),
     "P0 st wb; " + CLEAN + "P0 if nc; P0 ic ivau; P0 dsb; P0 isb; P0 if wb; P0 if nc", [S, F, F]),
]

THE_THREAD: list[Case] = [
    ("A1 code before the patch: PoU only", "xgene-l3",
     "P1 mmu off; P0 st wb; P0 dc cvau; P0 dsb; P0 ic ialluis; P0 dsb; P1 isb; P1 if nc; P1 ld dev",
     [S, S]),
    ("A1 the patch: clean to PoC on mapping", "xgene-l3",
     "P1 mmu off; P0 st wb; P0 dc cvac; P0 dsb; P0 ic ialluis; P0 dsb; P1 isb; P1 if nc; P1 ld dev",
     [F, F]),
    ("A3 cleaned by user space, refetched, then met by the guest", "xgene-l3",
     "P0 st wb; P0 dc civac; P0 dsb; P1 mmu off; P1 ld dev; P1 st dev; P1 ld dev; P1 mmu on; P1 ld wb",
     [F, F, S]),
    ("A5 cleaned before the first run, written later", "xgene-l3",
     "P0 st wb; P0 dc civac; P0 dsb; P0 st wb; P1 ld dev", [S]),
    ("A6 set/way at first run", "xgene-l3", "P0 st wb; P0 dc cisw; P0 dsb; P1 ld dev", [S]),
    ("A7 the reason is not the level: one PE without L3", "cortex-a57-up",
     "P0 st wb; P0 dc cisw; P0 dsb; P0 ld dev", [F]),
    ("A8 HCR_EL2.DC: cacheable without MMU", "xgene-l3", "P0 st wb; P1 ld wb", [F]),
    ("A9 MMU off, I on: the fetch may hit or miss the caches; off: memory", "xgene-l3",
     "P0 st wb; P0 ic ialluis; P0 dsb; P1 isb; P1 if nc", [S]),
    ("A12 the bootloader's DMA buffer stays in the cache", "xgene-l3",
     "P1 st wb; D0 rd noncoherent; D0 rd coherent", [S, F]),
    ("A13 the guest's own set/way flush", "xgene-l3",
     "P0 st wb; P1 dc cisw; P1 dsb; P1 mmu off; P1 ld dev", [S]),
    ("A14 the outer-cache framework", "l2x0-up",
     "P0 st wb; P0 dc civac; P0 dsb; P0 ld dev; P0 outer flush; P0 ld dev", [S, F]),
    ("A16 the data read first, no prefetch abort yet", "xgene-l3", "P0 st wb; P1 ld dev", [S]),
    ("A19 cleaning left out because the guest's MMU is on", "xgene-l3", "P0 st wb; P1 ld nc", [S]),
    ("A21 code loaded later: data seen, code not", "xgene-l3", "P0 st wb; P1 ld wb; P1 isb; P1 if wb",
     [F, S]),
    ("A22 swapped out through the cache", "xgene-l3", "P1 st nc; P1 dsb; D0 rd coherent", [S]),
]

CASES = [
    *SILENT_MOVES, *EVENTS, *POU_AND_POC, *SET_WAY, *OUTER, *PENDING, *INSTRUCTION_SIDE, *THE_THREAD,
]  # fmt: skip


def _expanded() -> list[tuple[str, Platform | str, str, list[str]]]:
    return [
        (rule, name, word, expected)
        for rule, where, word, expected in CASES
        for name in (where if isinstance(where, tuple) else (where,))
    ]


@pytest.mark.parametrize(
    ("platform", "word", "expected"),
    [pytest.param(*case[1:], id=f"{case[0]}: {case[1]}"[:90]) for case in _expanded()],
)
def test_rule(platform: Platform | str, word: str, expected: list[str]) -> None:
    check(platform, word, *expected)


# --- The bug corpus (facts B8) as words: the bug is seen, and gone when it is fixed ---------------

X = "xgene-l3"
CORPUS: list[tuple[str, str, str, str]] = [
    ("B8-1 clean silently skipped", X, "P0 st wb; P0 dsb; P1 ld dev",
     "P0 st wb; P0 dc civac; P0 dsb; P1 ld dev"),
    ("B8-2 I-cache isolation between vCPUs", X, CODE + "P0 if nc; P0 isb; P0 if wb",
     CODE + "P0 ic iallu; P0 dsb; P0 isb; P0 if wb"),
    ("B8-4 swap-out of stale clean lines", X, "P1 st nc; P1 dsb; D0 rd coherent",
     "P1 st nc; P1 dsb; P0 dc civac; P0 dsb; D0 rd coherent"),
    ("B8-5 stale lines visible at cache enable", X, "P1 mmu off; P1 st dev; P1 mmu on; P1 ld wb",
     "P1 mmu off; P1 st dev; P1 dsb; P0 dc civac; P0 dsb; P1 mmu on; P1 ld wb"),
    ("B8-6 set/way by the guest", X, "P1 st wb; P1 dc cisw; P1 dsb; P1 mmu off; P1 ld dev",
     "P1 st wb; P0 dc civac; P1 dc civac; P0 dsb; P1 dsb; P1 mmu off; P1 ld dev"),
    ("B8-9 hypervisor BSS not cleaned", X, "P0 dc zva; P0 dsb; P1 mmu off; P1 ld dev +32",
     "P0 dc zva; P0 dc cvac; P0 dsb; P1 mmu off; P1 ld dev +32"),
    ("B8-10 copy-on-write page not cleaned", X, "P0 st wb; P0 dsb; P1 ld nc",
     "P0 st wb; P0 dc civac; P0 dsb; P1 ld nc"),
    ("B8-11 maintenance left out at unmap", X, "P0 ld wb; P1 st nc; P1 dsb; P0 ld wb",
     "P0 ld wb; P1 st nc; P1 dsb; P0 dc civac; P0 dsb; P0 ld wb"),
    ("B8-15 EFI stub: set/way, then MMU off", "xgene-l3-up",
     "P0 st wb; P0 dc cisw; P0 dsb; P0 mmu off; P0 ld dev",
     "P0 st wb; P0 dc civac; P0 dsb; P0 mmu off; P0 ld dev"),
    ("B8-15 EFI stub: image clean to PoU only", X, "P0 st wb; P0 dc cvau; P0 dsb; P0 mmu off; P0 ld dev",
     "P0 st wb; P0 dc cvac; P0 dsb; P0 mmu off; P0 ld dev"),
    ("B8-16 invalidate before FROM_DEVICE", "cortex-a57", "P0 st wb; P0 dc ivac; P0 dsb; P0 ld wb",
     "P0 st wb; P0 dc cvac; P0 dsb; P0 ld wb"),
    ("B8-19 Xen on X-Gene, guest image in the L3", X, "P0 st wb; P1 mmu off; P1 ld dev",
     "P0 st wb; P0 dc cvac; P0 dsb; P1 mmu off; P1 ld dev"),
    ("B8-23 toolstack patches the guest", X, "P0 st wb; P0 dc cvac; P0 dsb; P1 isb; P1 if wb",
     "P0 st wb; P0 dc cvac; P0 dsb; P0 ic ialluis; P0 dsb; P1 isb; P1 if wb"),
    ("B8-24 I-invalidate without DSB", "cortex-a57",
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 isb; P0 if wb", CODE + "P0 isb; P0 if wb"),
    ("B8-24 I-invalidate without ISB", "cortex-a57", CODE + "P0 if wb", CODE + "P0 isb; P0 if wb"),
    ("B8-26 flushed before it is scrubbed", X, "P0 dc civac; P0 dsb; P0 st wb; P1 ld dev",
     "P0 st wb; P0 dc civac; P0 dsb; P1 ld dev"),
    ("B8-33 entries invalidated before they are written", "cortex-a57",
     "P0 mmu off; P0 dc ivac; P0 dsb; P0 st dev; P0 dsb; P0 mmu on; P0 tw wb",
     "P0 mmu off; P0 st dev; P0 dsb; P0 dc ivac; P0 dsb; P0 mmu on; P0 tw wb"),
    ("B8-36 remapped Non-cacheable while dirty", "cortex-a57", "P0 st wb; P0 dsb; P0 st nc; P0 ld nc",
     "P0 st wb; P0 dc civac; P0 dsb; P0 st nc; P0 ld nc"),
    ("B8-43 dirty lines at enable", "cortex-a57",
     "P0 st wb; P0 mmu off; P0 st dev; P0 dsb; P0 dc civac; P0 dsb; P0 mmu on; P0 ld wb",
     "P0 st wb; P0 dc civac; P0 dsb; P0 mmu off; P0 st dev; P0 dsb; P0 dc civac; P0 dsb; P0 mmu on; "
     "P0 ld wb"),
    ("B8-45 invalidation kills a neighbour", "cortex-a57", "P0 st wb +8; P0 dc ivac; P0 dsb; P0 ld wb +8",
     "P0 st wb +8; P0 dc civac; P0 dsb; P0 ld wb +8"),
    ("B8-46 page tables seen by a CPU not yet coherent", "cortex-a57", "P0 st wb; P0 dsb; P1 tw nc",
     "P0 st wb; P0 dc cvac; P0 dsb; P1 tw nc"),
    ("B8-48 invalidated before instead of after", "cortex-a57",
     "P0 dc ivac; P0 dsb; P1 st nc; P1 dsb; P0 ld wb", "P1 st nc; P1 dsb; P0 dc ivac; P0 dsb; P0 ld wb"),
    ("B8-50 entry point read with caches off", "cortex-a57", "P0 st wb; P1 mmu off; P1 ld dev",
     "P0 st wb; P0 dc civac; P0 dsb; P1 mmu off; P1 ld dev"),
    ("B8-51 flushed to a level that is 0", "neoverse-dic", "P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev",
     "P0 st wb; P0 dc cvac; P0 dsb; P1 ld dev"),
    ("B8-52 L2 not flushed", "cortex-a57", "P0 st wb; P0 dc cvau; P0 dsb; P0 mmu off; D0 rd noncoherent",
     "P0 st wb; P0 dc civac; P0 dsb; P0 mmu off; D0 rd noncoherent"),
    ("B8-53 no invalidate after DMA", "cortex-a57", "P0 dc civac; P0 dsb; D0 wr noncoherent; P0 ld wb",
     "P0 dc civac; P0 dsb; D0 wr noncoherent; P0 dc ivac; P0 dsb; P0 ld wb"),
    ("B8-56 dirty eviction over the DMA", "cortex-a57",
     "P0 st wb; D0 wr noncoherent; P0 dc ivac; P0 dsb; P0 ld wb",
     "P0 st wb; P0 dc cvac; P0 dsb; D0 wr noncoherent; P0 dc ivac; P0 dsb; P0 ld wb"),
    ("B8-58 unaligned tail: neighbour in the line", "cortex-a57",
     "P0 dc civac; P0 dsb; P0 st wb +8; D0 wr noncoherent; P0 dc civac; P0 dsb; P0 ld wb",
     "P0 dc civac; P0 dsb; D0 wr noncoherent; P0 dc civac; P0 dsb; P0 st wb +8; P0 ld wb"),
    ("B8-59 scratchpad not flushed", "cortex-a57", "P0 dc zva; P0 dsb; D0 rd noncoherent",
     "P0 dc zva; P0 dc cvac; P0 dsb; D0 rd noncoherent"),
    ("B8-61 remote core's firmware not flushed", X, "P0 st wb; P0 dc csw; P0 dsb; D0 rd noncoherent",
     "P0 st wb; P0 dc cvac; P0 dsb; D0 rd noncoherent"),
    ("B8-67 IALLU instead of IALLUIS", "cortex-a57",
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic iallu; P0 dsb; P1 isb; P1 if wb",
     "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ialluis; P0 dsb; P1 isb; P1 if wb"),
    ("B8-71 uncached user mapping sees data from before the clear", X, "P0 dc zva; P0 dsb; P1 ld nc",
     "P0 dc zva; P0 dc civac; P0 dsb; P1 ld nc"),
    ("B8-73 I-invalidate before the D-clean", "cortex-a57",
     "P0 st wb; P0 ic ivau; P0 dsb; P0 dc cvau; P0 dsb; P0 isb; P0 if wb", CODE + "P0 isb; P0 if wb"),
    ("B8-73 I-cache operations were stubs", "cortex-a57",
     "P0 st wb; P0 dc cvau; P0 dsb; P0 isb; P0 if wb", CODE + "P0 isb; P0 if wb"),
    ("B8-74 around MMU off", "cortex-a57", "P0 st wb; P0 mmu off; P0 ld dev",
     "P0 st wb; P0 dc cvac; P0 dsb; P0 mmu off; P0 ld dev"),
    ("B8-75 no ISB on the other threads", "cortex-a57", CODE + "P0 isb; P1 if wb",
     CODE + "P0 isb; P1 isb; P1 if wb"),
    ("B8-84 device tree without dma-coherent", X, "P1 st nc; D0 rd coherent", "P1 st wb; D0 rd coherent"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("platform", "buggy", "fixed"), [pytest.param(*bug[1:], id=bug[0]) for bug in CORPUS]
)
def test_corpus(platform: str, buggy: str, fixed: str) -> None:
    bug = "unsynced" if buggy.count("isb") < fixed.count("isb") else "stale"
    reads = [s.split()[1] for s in buggy.split(";")]
    before = [F] * (sum(op in ("ld", "tw", "if", "rd") for op in reads) - 1)
    if "if nc" in buggy:
        before = [S]
    check(platform, buggy, *before, bug)
    reads = [s.split()[1] for s in fixed.split(";")]
    check(platform, fixed, *[F] * sum(op in ("ld", "tw", "if", "rd") for op in reads))


def test_the_corpus_is_large_enough() -> None:
    assert len({bug.split()[0] for bug, *_ in CORPUS}) >= 15
