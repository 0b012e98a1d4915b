/* A page that was written through the caches is mapped Non-cacheable and written again. The old dirty
 * line may be evicted over the new data.
 */

#include "machine.h"

    .globl program
program:
    address x1, page
    mov     x2, #1
    str     x2, [x1]
#if FIXED
    dc      civac, x1
    dsb     sy
#endif
    address x1, page, NC
    mov     x2, #2
    str     x2, [x1]
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line page
