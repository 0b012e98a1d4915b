/* Tables are written through the caches for a PE whose table walks do not look into them. */

#include "machine.h"

    .globl program
program:
    address x1, new_tables
    address x2, tables
    ldp     x3, x4, [x2]
    stp     x3, x4, [x1]
    ldp     x3, x4, [x2, #16]
    stp     x3, x4, [x1, #16]
#if FIXED
    dc      cvac, x1
#endif
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second:
    address x11, new_tables
    bl      mmu_on_walks_uncached
    tell    1, DEV
    b       .
    .ltorg

    a_line new_tables
