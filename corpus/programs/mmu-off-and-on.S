/* The MMU goes off and on again. What was written through the caches is read past them, and what was
 * written past them is read through them.
 */

#include "machine.h"

    .globl program
program:
    address x1, before
    address x3, during
    mov     x2, #1
    str     x2, [x1]
    ldr     x0, [x3]
    bl      mmu_off
#if FIXED
    dc      civac, x1
    dc      civac, x3
    dsb     sy
#endif
    ldr     x0, [x1]
    mov     x2, #2
    str     x2, [x3]
    bl      mmu_on
    ldr     x0, [x3]
    power_off
    .ltorg

    a_line before
    a_line during
