/* The attributes of a region are changed by an index that was shifted into place before and is shifted
 * again: a region that should stay Write-Back becomes Device memory.
 */

#include "machine.h"

    .globl program
program:
    address x1, buffer, WB2
    mov     x2, #42
    str     x2, [x1]
    mov     x3, #(MT_WB << 2)
#if !FIXED
    lsl     x3, x3, #2
#endif
    ldr     x4, =(0x40000000 | 0x701)
    orr     x4, x4, x3
    address x5, tables + 4 * 8
    str     x4, [x5]
    dsb     ishst
    tlbi    vmalle1is
    dsb     ish
    isb
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line buffer
