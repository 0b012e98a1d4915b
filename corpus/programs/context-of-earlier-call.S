/* Firmware enters with its caches off, saves a context past them and switches them on, where lines of
 * the context of an earlier call are still dirty. FIXED 1 cleans at the end of the earlier call, and
 * invalidates before the caches go on. FIXED 2 only invalidates: until then dirty lines may be evicted
 * over the new context.
 */

#include "machine.h"

    .globl program
program:
    address x1, context
    mov     x2, #1
    str     x2, [x1]            /* earlier call, caches on */
#if FIXED == 1
    dc      civac, x1
    dsb     sy
#endif
    bl      mmu_off
    mov     x2, #2
    str     x2, [x1]            /* the new one */
#if FIXED
    dmb     sy
    dc      ivac, x1
    dsb     sy
#endif
    bl      mmu_on
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line context
