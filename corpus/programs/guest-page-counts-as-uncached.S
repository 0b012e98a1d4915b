/* A page is scrubbed and given to a guest; whether it needs a flush is decided by comparing attribute
 * bits with the same bits shifted, which are never equal.
 */

#include "machine.h"

#define MEMATTR_SHIFT 2
#define MEMATTR_WB (0xf << MEMATTR_SHIFT)

    .globl program, guest, hypercall
program:
    address x1, page
    str     xzr, [x1]
    address x2, stage2_entry
    ldr     x2, [x2]
#if FIXED
    and     x3, x2, #MEMATTR_WB
#else
    ubfx    x3, x2, #MEMATTR_SHIFT, #4
#endif
    cmp     x3, #MEMATTR_WB
    b.ne    1f
    dc      civac, x1
    dsb     sy
1:  b       enter_guest

hypercall:
    b       .

guest:
    address x1, page
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line page
    .balign 4096
stage2_entry:
    .quad   0x7fd
    .balign 4096
