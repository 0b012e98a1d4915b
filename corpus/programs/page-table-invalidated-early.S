/* Translation tables are written with the MMU off, where stale copies of their lines may be in a cache:
 * a PE with its MMU on has them mapped. Invalidated before they are written, they may be back by the
 * time the tables are used.
 */

#include "machine.h"

    .globl program
program: /* this PE leaves its MMU on; the other one writes tables */
    start_second second
    await   1, DEV
    power_off

second:
    address x1, new_tables
    address x2, tables
#if !FIXED
    dc      ivac, x1
    dsb     sy
#endif
    ldp     x3, x4, [x2]
    stp     x3, x4, [x1]
    ldp     x3, x4, [x2, #16]
    stp     x3, x4, [x1, #16]
#if FIXED
    dmb     sy
    dc      ivac, x1
    dsb     sy
#endif
    mov     x11, x1
    bl      mmu_on_with
    tell    1, DEV
    b       .
    .ltorg

    a_line new_tables
