/* RAM mapped at each of 511 places, and the table in itself at the last: code is patched through one
 * alias, published through another and run through all of them, with or without its maintenance.
 */
#include "machine.h"

#define TCR_39_BITS (25 | 1 << 8 | 1 << 10 | 3 << 12)

    .globl program
program:
    bl      victim
    address x0, own_tables
    mov     x1, #0
    ldr     x2, =BLOCK(0x40000000, MT_WB)
1:  str     x2, [x0, x1, lsl #3]
    add     x1, x1, #1
    cmp     x1, #511
    b.lo    1b
    orr     x2, x0, #3              /* itself, as the table of the next level */
    mov     x14, #1 << 10 | 3 << 8 | MT_WB << 2 /* as a page: AF, Inner Shareable, Write-Back */
    orr     x2, x2, x14
    str     x2, [x0, x1, lsl #3]
    dsb     ish
    ldr     x3, =TCR_39_BITS
    msr     tcr_el1, x3
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb

    address x4, victim
    ldr     w5, =NEW_INSTRUCTION
    mov     x6, #7 << 30
    add     x6, x6, x4
    str     w5, [x6]
#if FIXED
    mov     x6, #100 << 30
    add     x6, x6, x4
    dc      cvau, x6
    dsb     ish
    mov     x6, #300 << 30
    add     x6, x6, x4
    ic      ivau, x6
    dsb     ish
    isb
#endif
    mov     x7, #0
2:  ubfx    x8, x4, #0, #30
    add     x8, x8, x7, lsl #30
    blr     x8
    ldr     x14, [x8]               /* and read, and written elsewhere */
    address x15, scratch
    ubfx    x15, x15, #0, #30
    add     x15, x15, x7, lsl #30
    str     x14, [x15]
    ldr     x14, [x15]
    add     x7, x7, #1
    cmp     x7, #511
    b.lo    2b

    /* The table as the page that it maps itself to: 511 at every level. */
    ldr     x8, =0x7ffffff000
    ldr     x14, [x8]
    str     x14, [x8]
    power_off
    .ltorg

    a_victim
    .data
    .balign 4096
own_tables: .fill 512, 8, 0
scratch:    .fill 8, 8, 0
