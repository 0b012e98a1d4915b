/* Pages of 64 KiB, and a block of 512 MiB: code is written through a page and run in the block. */
#include "machine.h"

#define TCR_64K (25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 14)
#define PAGES_VA 0x100000000

    .globl program
program:
    bl      victim
    ldr     x3, =TCR_64K
    address x0, level2_64k
    ldr     x1, =SCTLR_NO_MMU
    msr     sctlr_el1, x1
    isb
    msr     tcr_el1, x3
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    orr     x1, x1, #1
    orr     x1, x1, #1 << 2
    orr     x1, x1, #1 << 12
    msr     sctlr_el1, x1
    isb
    ldr     x4, =PAGES_VA
    address x6, victim
    bfxil   x4, x6, #0, #16
    ldr     w5, =NEW_INSTRUCTION
    str     w5, [x4]
#if FIXED
    dc      cvau, x4
    dsb     ish
    ic      ivau, x4
    dsb     ish
    isb
#endif
    bl      victim
    power_off
    .ltorg

    .balign 65536
page:
    .fill   8000, 4, 0              /* the victim is somewhere in it */
    a_victim
    .data
    .balign 65536
level2_64k:
    .quad   0, 0
    .quad   BLOCK(0x40000000, MT_WB)
    .fill   5, 8, 0
    .quad   level3_64k + 3          /* 8 × 512 MiB */
    .fill   8183, 8, 0
level3_64k:
    .quad   page + 0x703 + (MT_WB << 2)
    .fill   8191, 8, 0
