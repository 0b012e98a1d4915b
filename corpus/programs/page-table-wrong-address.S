/* As page-table-invalidated-early.S, with the invalidate in time but for another address: it gets the
 * number of the exception level.
 */

#include "machine.h"

    .globl program
program:
    start_second second
    await   1, DEV
    power_off

second:
    address x1, new_tables
    address x2, tables
    ldp     x3, x4, [x2]
    stp     x3, x4, [x1]
    ldp     x3, x4, [x2, #16]
    stp     x3, x4, [x1, #16]
    dmb     sy
#if FIXED
    dc      ivac, x1
#else
    mrs     x0, CurrentEL
    dc      ivac, x0
#endif
    dsb     sy
    mov     x11, x1
    bl      mmu_on_with
    tell    1, DEV
    b       .
    .ltorg

    a_line new_tables
